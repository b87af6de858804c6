"""Questions to Dagster's webserver over GraphQL, for processes that do not want to import Dagster for them.

In: an address, a query with variables, the shape of the answer's `data` as a msgspec struct. Out: that struct. Nobody
there, an answer of another shape or one with errors is a MeterhouseError with the address and what was said.
"""

import http.client
import urllib.request
from collections.abc import Mapping
from typing import Generic, TypeVar

import msgspec

from ingest.errors import MeterhouseError

Data = TypeVar("Data")


class _Complaint(msgspec.Struct):
    message: str


class _Answer(msgspec.Struct, Generic[Data]):
    data: Data | None = None
    errors: list[_Complaint] = []


def ask(
    address: str,
    query: str,
    shape: type[Data],
    variables: Mapping[str, object] | None = None,
    *,
    timeout_s: float = 120,
) -> Data:
    """One question; `address` as http://host:port."""
    body = msgspec.json.encode({"query": query, "variables": dict(variables or {})})
    request = urllib.request.Request(f"{address}/graphql", body, {"content-type": "application/json"})  # noqa: S310  # http, from settings
    # No proxy of the environment: the page is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout_s) as answer:
            said: _Answer[Data] = msgspec.json.decode(answer.read(), type=_Answer[shape])  # type: ignore[valid-type]  # a type at run time
    except (OSError, http.client.HTTPException, msgspec.MsgspecError) as error:
        raise MeterhouseError(f"Dagster at {address} did not answer a question as expected: {error}.") from error
    if said.errors or said.data is None:
        complaint = said.errors[0].message if said.errors else "no data"
        raise MeterhouseError(f"Dagster at {address} refused a question: {complaint}.")
    return said.data
