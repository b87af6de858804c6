"""What OTLP answers, in protobuf or JSON as it was asked: Export*ServiceResponse, or google.rpc.Status.

In: Taken, or a Refusal. Out: bytes, and Starlette responses of them. The messages are small and fixed, so they are
written by hand; `status_details` adds RetryInfo, by which gRPC clients know that and when to send again.
"""

import math
from typing import Final

import msgspec
from starlette.responses import Response

from ingest.api.answers import refusal_headers
from ingest.api.otlp import Taken
from ingest.api.refusal import Refusal
from ingest.contracts.otlp_schema import varint
from ingest.signals import Signal

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
_REFUSED_NAMES: Final[dict[Signal, str]] = {
    "traces": "rejectedSpans",
    "logs": "rejectedLogRecords",
    "metrics": "rejectedDataPoints",
}
_RETRY_INFO: Final = b"type.googleapis.com/google.rpc.RetryInfo"


def _number(field: int, number: int) -> bytes:
    return varint(field << 3) + varint(number) if number else b""


def _bytes(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content if content else b""


def response_bytes(taken: Taken) -> bytes:
    """Export*ServiceResponse: the three have the same fields. Empty where nothing was refused."""
    return _bytes(1, _number(1, taken.refused) + _bytes(2, taken.why.encode()))


def status_details(refusal: Refusal, code: int) -> bytes:
    """google.rpc.Status, with RetryInfo where sending again makes sense."""
    details = b""
    if refusal.retry_after_s is not None:
        delay = _bytes(1, _number(1, math.ceil(refusal.retry_after_s)))
        details = _bytes(3, _bytes(1, _RETRY_INFO) + _bytes(2, delay))
    return _number(1, code) + _bytes(2, refusal.sentence.encode()) + details


def taken_answer(signal: Signal, taken: Taken, media_type: str) -> Response:
    """200."""
    if media_type == PROTOBUF:
        return Response(response_bytes(taken), 200, media_type=PROTOBUF)
    content: dict[str, object] = {}
    if taken.refused:
        content = {"partialSuccess": {_REFUSED_NAMES[signal]: str(taken.refused), "errorMessage": taken.why}}
    return Response(msgspec.json.encode(content), 200, media_type=JSON)


def status_answer(refusal: Refusal, media_type: str) -> Response:
    """The refusal's HTTP status with a google.rpc.Status body."""
    headers = refusal_headers(refusal)
    if media_type == PROTOBUF:
        content = status_details(refusal, refusal.rpc_code)
        return Response(content, refusal.status, headers, media_type=PROTOBUF)
    status = {"code": refusal.rpc_code, "message": refusal.sentence}
    return Response(msgspec.json.encode(status), refusal.status, headers, media_type=JSON)
