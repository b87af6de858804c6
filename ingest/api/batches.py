"""A body taken apart into events: a JSON array, `{"events": [...]}`, one event, or a line each.

In: the decompressed body and its content type. Out: structs where all of it decodes at once (the fast path), else each
event's own JSON text, for the careful path to judge. A Refusal: 400 for what is no JSON, 413 for too many events.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from ingest.api.door_event import EVENT, EVENTS, DoorEvent, keep_number
from ingest.api.refusal import Refusal

LINES_TYPES: Final = frozenset(
    ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines", "application/json-l")
)
JSON_TYPES: Final = frozenset(("application/json", "text/json", ""))
# Above this size a body is looked at before it is decoded: brackets and commas without end take memory, not bytes.
_LOOK_ABOVE_BYTES: Final = 1 << 20
_MOST_BRACKETS_AN_EVENT: Final = 200
_MOST_COMMAS_AN_EVENT: Final = 500
_WHITE: Final = b" \t\r\n"


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    events: list[DoorEvent]


class _RawEnvelope(msgspec.Struct):
    events: list[msgspec.Raw] | None = None
    workspace_id: msgspec.Raw = msgspec.Raw(b"null")


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope, float_hook=keep_number)
_RAW_ENVELOPE: Final = msgspec.json.Decoder(_RawEnvelope)
_RAWS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_FAILURES: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

Events = Sequence[DoorEvent | bytes]


def split(body: bytes, media_type: str, workspace_id: str, most: int) -> Events:
    """The events of a body, 1 to `most` of them. `workspace_id`: the only one the envelope may name."""
    if media_type not in LINES_TYPES and media_type not in JSON_TYPES:
        raise Refusal(
            415, "unknown_content_type", "Content-Type: application/json or application/x-ndjson is expected."
        )
    if len(body) > _LOOK_ABOVE_BYTES:
        _look(body, most)
    events = _lines(body, most) if media_type in LINES_TYPES else _json(body, workspace_id)
    if not events:
        raise Refusal(400, "empty_batch", f"Expected 1 to {most} events, came none.")
    if len(events) > most:
        raise _too_many(most, len(events))
    return events


def _look(body: bytes, most: int) -> None:
    if body.count(b"{") + body.count(b"[") > most * _MOST_BRACKETS_AN_EVENT or (
        body.count(b",") > most * _MOST_COMMAS_AN_EVENT
    ):
        raise Refusal(413, "too_many_values", f"The body holds more values than {most} events can have.")


def _too_many(most: int, came: int) -> Refusal:
    return Refusal(413, "too_many_events", f"Expected at most {most} events in a request, came {came}.")


def _lines(body: bytes, most: int) -> Events:
    if body.count(b"\n") > 2 * most + 2:
        raise _too_many(most, body.count(b"\n"))
    try:
        return EVENT.decode_lines(body)
    except _FAILURES:
        return [line for line in (line.strip(_WHITE) for line in body.split(b"\n")) if line]


def _json(body: bytes, workspace_id: str) -> Events:
    is_array = body.lstrip(_WHITE)[:1] == b"["
    try:
        return EVENTS.decode(body) if is_array else _ENVELOPE.decode(body).events
    except _FAILURES:
        pass
    try:
        if is_array:
            return [bytes(raw) for raw in _RAWS.decode(body)]
        envelope = _RAW_ENVELOPE.decode(body)
    except _FAILURES as error:
        raise Refusal(
            400,
            "malformed_json",
            f'Expected a JSON array of events or {{"events": [...]}}, came something else ({_where(error)}).',
        ) from None
    if envelope.events is None:
        return [body]
    if bytes(envelope.workspace_id) not in (b"null", msgspec.json.encode(workspace_id)):
        raise Refusal(403, "wrong_workspace", "The credential is for another workspace than the body names.")
    return [bytes(raw) for raw in envelope.events]


def _where(error: BaseException) -> str:
    """msgspec's words tell a position or a type, never the text."""
    if isinstance(error, msgspec.MsgspecError):
        return str(error)
    return "it nests too deep" if isinstance(error, RecursionError) else "it is not UTF-8"
