"""Answers of /v1/events and of the pages about the server: JSON, the same shape each time.

In: outcomes and refusals. Out: Starlette responses. What still comes of a refused body is thrown away.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from starlette.responses import Response

from ingest.api.events import Outcome
from ingest.api.refusal import Refusal

JSON: Final = "application/json"
_ENCODER: Final = msgspec.json.Encoder()


def outcome_answer(outcome: Outcome) -> Response:
    """Counts, and for each refused event its index and why."""
    content = {
        "accepted": outcome.accepted,
        "refused": len(outcome.refused),
        "errors": [
            {"index": one.index, "error_class": one.error_class, "field": one.field, "reason": one.reason}
            for one in outcome.refused
        ],
    }
    return Response(_ENCODER.encode(content), outcome.status, media_type=JSON)


def refusal_headers(refusal: Refusal) -> dict[str, str]:
    """Retry-After, how to authenticate, and whether the connection ends."""
    headers = {}
    if refusal.retry_after is not None:
        headers["retry-after"] = refusal.retry_after
    if refusal.status == 401:
        headers["www-authenticate"] = 'Bearer, Meterhouse-HMAC-SHA256 headers="x-meterhouse-timestamp"'
    if refusal.status == 408:
        headers["connection"] = "close"
    return headers


def refusal_answer(refusal: Refusal) -> Response:
    """`{"error": {"code", "message"}}`."""
    content = {"error": {"code": refusal.code, "message": refusal.sentence}}
    return Response(_ENCODER.encode(content), refusal.status, refusal_headers(refusal), media_type=JSON)


def page(status: int, content: Mapping[str, object]) -> Response:
    """A small JSON page that no cache keeps."""
    return Response(_ENCODER.encode(content), status, {"cache-control": "no-store"}, media_type=JSON)
