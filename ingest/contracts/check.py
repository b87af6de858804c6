"""The careful path: one message's bytes to Accepted or Refused, with the reason. Never raises, whatever the bytes.

The fast path (DECODER over a batch) may land a message without asking judge() only when its struct took the message AND
all of these column rules hold; a row that misses one of them goes through judge(), which decides. Patterns are for RE2;
in Python use fullmatch, since its `$` allows a final newline.

 1. len(message) <= limits.max_event_bytes.
 2. event_id matches UUID_PATTERN and is not NIL_UUID; it lands in lower case.
 3. workspace_id matches WORKSPACE_PATTERN.
 4. occurred_at: an integer, or a string that matches TIME_PATTERN and names a date of the calendar; the fraction is cut
    to milliseconds; then judged_at - max_age_ms <= occurred_at <= judged_at + max_future_ms.
 5. cache_read_tokens + cache_write_tokens (missing = 0) <= input_tokens where that is there; reasoning_tokens <=
    output_tokens where that is there.
 6. Each money field: an integer, a float (its shortest repr is the amount) or a string that matches DECIMAL_PATTERN;
    0 <= amount <= the field's maximum, checked before rounding half even to 12 places.
 7. session_id and actor_id have no `@`; no other string field matches SUSPICIOUS_STRING.
 8. context is b'' or b'null' (missing), or begins with `{`, decodes as UTF-8, does not match
    suspicious_context(limits.context_depth), and without insignificant whitespace (msgspec.json.format(raw, indent=-1),
    to be called only where whitespace is) has <= limits.context_bytes bytes. That text is what lands.
 9. schema_version None lands as 1, -0.0 in *_ms as 0.0, strings None as ''.

Among several faults, the first of this order is told: size, encoding, JSON, schema_version, then fields in column
order, parts and wholes, the time window, the context.
"""

from typing import Final

import msgspec

from ingest.contracts.agent_event import MISSING, AgentEvent
from ingest.contracts.context import nests_deeper, parse, settle_context, settle_with_unknown
from ingest.contracts.denial import count, denied, mask_emails
from ingest.contracts.fields import FIELD_NAMES, FIELDS, KNOWN_SCHEMA_VERSION, PARTS
from ingest.contracts.outcome import Accepted, EventLimits, Refused, tally_name
from ingest.contracts.privacy import DECODER, may_stay, scrub_value
from ingest.contracts.values import Complaint, Normal, iso, normalise, shape

__all__ = ["Accepted", "EventLimits", "Refused", "judge"]

MAX_UNKNOWN_NAME_CHARS: Final = 128
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def judge(payload: bytes, *, judged_at_ms: int, limits: EventLimits) -> Accepted | Refused:
    """Decides about one message. `judged_at_ms` is the epoch ms that the time window stands around."""
    raws = _open(payload, limits)
    if isinstance(raws, Refused):
        return raws
    field = "schema_version"
    read = _read_at_once(payload)
    try:
        _refuse_newer(raws)
        dropped: dict[str, int] = {}
        values: dict[str, Normal] = {}
        for spec in FIELDS:
            field = spec.name
            if spec.kind == "object":
                continue
            value = _read(field, raws, read)
            if value is not None:
                values[field] = normalise(spec, value, dropped)
            elif spec.is_required:
                raise Complaint("missing_field", "a value", "null" if field in raws else "nothing")
        for parts, whole in PARTS:
            field = " + ".join(parts)
            _check_parts(values, parts, whole)
        field = "occurred_at"
        _check_window(values, judged_at_ms, limits)
        field = "context"
        return _with_context(raws, values, dropped, limits)
    except Complaint as complaint:
        return Refused(complaint.error_class, field, f"{field}: {complaint}.")


def _open(payload: bytes, limits: EventLimits) -> dict[str, msgspec.Raw] | Refused:
    """The top level taken apart, values still unread."""
    if len(payload) > limits.max_event_bytes:
        expected = f"expected at most {limits.max_event_bytes} bytes, came {len(payload)}"
        return Refused("too_large", "", f"message: {expected}.")
    try:
        payload.decode()
        return _OBJECT.decode(payload)
    except UnicodeDecodeError as error:
        return Refused("not_utf8", "", f"message: expected UTF-8, came another byte at position {error.start}.")
    except RecursionError:
        return Refused("too_deep", "", "message: expected a shallow object, came one that nests too deep to read.")
    except msgspec.ValidationError:
        return Refused("not_an_object", "", f"message: expected a JSON object, came {_top_level(payload)}.")
    except msgspec.DecodeError as error:
        return Refused("malformed_json", "", f"message: expected one JSON object, came {_fault(payload, error)}.")


def _read_at_once(payload: bytes) -> dict[str, object] | None:
    """All values in one go, several times faster than one by one; None where one of them cannot be read at all."""
    try:
        read = DECODER.decode(payload)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def _read(field: str, raws: dict[str, msgspec.Raw], read: dict[str, object] | None) -> object:
    if read is not None:
        return read.get(field)
    raw = raws.get(field)
    return None if raw is None else parse(raw)


def _top_level(payload: bytes) -> str:
    names = {b'"': "a string", b"[": "an array", b"n": "null", b"t": "true", b"f": "false"}
    return names.get(payload.lstrip()[:1], "a number")


def _fault(payload: bytes, error: msgspec.DecodeError) -> str:
    if not payload.strip():
        return "an empty message"
    if payload.startswith(b"\xef\xbb\xbf"):
        return "a byte order mark before it; send UTF-8 without one"
    detail = str(error).removeprefix("JSON is malformed: ")
    if "truncated" in detail:
        detail = "the end is missing, or a \\u escape is half a surrogate pair"
    return f"malformed JSON: {detail}"


def _refuse_newer(raws: dict[str, msgspec.Raw]) -> None:
    raw = raws.get("schema_version")
    if raw is None:
        return
    text = bytes(raw)
    if text.isdigit() and (len(text) > 9 or int(text) > KNOWN_SCHEMA_VERSION):
        came = shape(msgspec.Raw(text))
        raise Complaint("unknown_schema_version", f"at most {KNOWN_SCHEMA_VERSION}, the newest known here", came)


def _check_parts(values: dict[str, Normal], parts: tuple[str, ...], whole: str) -> None:
    total = values.get(whole)
    if not isinstance(total, int):
        return
    together = sum(part for name in parts if isinstance(part := values.get(name), int))
    if together > total:
        raise Complaint("part_exceeds_whole", f"at most {whole} = {total}", f"{together}")


def _check_window(values: dict[str, Normal], judged_at_ms: int, limits: EventLimits) -> None:
    occurred_at = values["occurred_at"]
    if not isinstance(occurred_at, int):
        raise AssertionError("occurred_at is normalised to an integer")
    oldest, newest = judged_at_ms - limits.max_age_ms, judged_at_ms + limits.max_future_ms
    if oldest <= occurred_at <= newest:
        return
    hint = " (epoch seconds? milliseconds are expected)" if oldest <= occurred_at * 1000 <= newest else ""
    raise Complaint("outside_time_window", f"from {iso(oldest)} to {iso(newest)}", f"{iso(occurred_at)}{hint}")


def _with_context(
    raws: dict[str, msgspec.Raw], values: dict[str, Normal], dropped: dict[str, int], limits: EventLimits
) -> Accepted:
    raw = raws.get("context")
    own = None if raw is None or bytes(raw) == b"null" else bytes(raw)
    unknown: dict[str, int] = {}
    kept, lost = _keep_unknown(raws, unknown, dropped, limits)
    context = MISSING
    if kept:
        context = msgspec.Raw(settle_with_unknown(own, kept, limits, dropped).encode())
    elif own is not None:
        context = msgspec.Raw(settle_context(own, limits, dropped).encode())
    event = AgentEvent(**values, context=context)  # type: ignore[arg-type]  # normalise() gave each field its type
    return Accepted(event, dropped, unknown, lost)


def _keep_unknown(
    raws: dict[str, msgspec.Raw], unknown: dict[str, int], dropped: dict[str, int], limits: EventLimits
) -> tuple[dict[str, object], int]:
    """The unknown fields that fit, scrubbed; how many did not fit. All are counted in `unknown` or `dropped`."""
    kept: dict[str, object] = {}
    room, lost = limits.unknown_bytes, 0
    for name, raw in raws.items():
        if name in FIELD_NAMES:
            continue
        value = _read_unknown(raw)
        rule = denied(name)
        if rule is not None and not may_stay(rule[0], value):
            count(dropped, rule[1])
        elif mask_emails(name, dropped) == name:
            tally_name(unknown, name)
            clean = scrub_value(value, dropped)
            need = len(name.encode()) + len(msgspec.json.encode(clean)) + 4
            too_deep = nests_deeper(clean, limits.context_depth - 2)
            if too_deep or need > room or len(kept) >= limits.unknown_fields or len(name) > MAX_UNKNOWN_NAME_CHARS:
                lost += 1
                continue
            kept[name] = clean
            room -= need
    return kept, lost


def _read_unknown(raw: msgspec.Raw) -> object:
    try:
        return parse(raw)
    except Complaint:
        return "[unreadable]"
