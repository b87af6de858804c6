"""One HTTP request from its head to the credential: the part of the way that events and OTLP share.

In: Starlette's request. Out: Received (who, which body, in which form), or a Refusal. What the body holds in memory is
given back when the `with` ends; a signature is given back when the work behind failed.
"""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request

from ingest.api.bodies import read_body, too_large
from ingest.api.credential import Credential
from ingest.api.door import Door
from ingest.api.entrance import Knock
from ingest.api.limiting import Stay
from ingest.api.metrics import Metric
from ingest.api.refusal import Refusal, overloaded


@dataclass(frozen=True, slots=True)
class Received:
    """A request that was let in. `body` is as it was sent."""

    credential: Credential
    body: bytes
    media_type: str
    encoding: str
    stay: Stay


@contextlib.asynccontextmanager
async def received(door: Door, request: Request, way: str) -> AsyncIterator[Received]:
    """Use it around the whole work on the request."""
    if door.is_stopping:
        raise overloaded("stopping", "This server is stopping; another takes its place.", 2.0)
    headers = request.headers
    knock: Knock | None = None
    try:
        with door.room.enter() as stay:
            knock = await door.entrance.knock(headers, request.client.host if request.client else None)
            body = await _body(door, request, stay)
            door.metrics.count(Metric.BODY_BYTES, len(body), way)
            credential = door.entrance.admit(knock, body)
            media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
            yield Received(credential, body, media_type, headers.get("content-encoding", ""), stay)
    except BaseException:
        if knock is not None:
            door.entrance.give_back(knock)
        raise


async def _body(door: Door, request: Request, stay: Stay) -> bytes:
    settings = door.settings
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced[:20]) > settings.api_max_body_bytes:
        raise too_large(settings.api_max_body_bytes)
    try:
        return await read_body(
            request.stream(), stay, limit=settings.api_max_body_bytes, within_s=settings.api_read_timeout_s
        )
    except ClientDisconnect:
        raise Refusal(400, "client_gone", "The client went away before its body had arrived.") from None
