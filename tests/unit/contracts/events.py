"""Events for the contract's tests, and the fast path in plain Python: the column rules of check.py for one message."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from ingest.contracts import fields as f
from ingest.contracts.agent_event import DECODER, AgentEvent
from ingest.contracts.check import Accepted, EventLimits, Refused, judge
from ingest.contracts.denial import SUSPICIOUS_STRING, suspicious_context
from ingest.contracts.values import Complaint, epoch_ms

NOW_MS = 1_795_426_200_000
LIMITS = EventLimits()
EVENT_ID = "6f1c2a3e-58c8-4e09-a2df-01a533f88075"


def event(**changes: object) -> dict[str, object]:
    """A valid event with `changes` on top."""
    return {
        "event_id": EVENT_ID,
        "event_type": "llm_call",
        "occurred_at": NOW_MS,
        "workspace_id": "harbor-logistics",
        **changes,
    }


def without(name: str) -> dict[str, object]:
    return {key: value for key, value in event().items() if key != name}


def payload(**changes: object) -> bytes:
    return json.dumps(event(**changes)).encode()


def judged(message: bytes | Mapping[str, object], limits: EventLimits = LIMITS) -> Accepted | Refused:
    raw = message if isinstance(message, bytes) else json.dumps(message).encode()
    return judge(raw, judged_at_ms=NOW_MS, limits=limits)


def accepted(**changes: object) -> Accepted:
    verdict = judged(event(**changes))
    assert isinstance(verdict, Accepted), verdict
    return verdict


def refused(message: bytes | Mapping[str, object], limits: EventLimits = LIMITS) -> Refused:
    verdict = judged(message, limits)
    assert isinstance(verdict, Refused), verdict
    return verdict


def context_of(verdict: Accepted) -> str:
    return bytes(verdict.event.context).decode()


def fast_path(message: bytes, limits: EventLimits = LIMITS) -> AgentEvent | None:
    """The event as the column rules let it land without judge(), in judge()'s normal form; None where one is missed."""
    try:
        event = DECODER.decode(message)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if len(message) > limits.max_event_bytes or not _identity_is_fine(event) or not _parts_fit(event):
        return None
    occurred_at, context = _time(event, limits), _context(event, limits)
    if occurred_at is None or context is None or not _strings_are_fine(event):
        return None
    changes: dict[str, object] = {}
    for field in f.FIELDS:
        value = getattr(event, field.name)
        if field.kind == "money" and value is not None:
            changes[field.name] = _money(value, field.maximum or 0)
            if changes[field.name] is None:
                return None
        elif field.kind == "milliseconds" and value is not None:
            changes[field.name] = value + 0.0
        elif value == "":
            changes[field.name] = None
    changes |= {"event_id": event.event_id.lower(), "occurred_at": occurred_at, "context": msgspec.Raw(context)}
    changes["schema_version"] = event.schema_version or 1
    return msgspec.structs.replace(event, **changes)


def _identity_is_fine(event: AgentEvent) -> bool:
    uuid = re.fullmatch(f.UUID_PATTERN, event.event_id) is not None and event.event_id != f.NIL_UUID
    return uuid and re.fullmatch(f.WORKSPACE_PATTERN, event.workspace_id) is not None and "\n" not in event.workspace_id


def _parts_fit(event: AgentEvent) -> bool:
    return all(
        getattr(event, whole) is None or sum(getattr(event, part) or 0 for part in parts) <= getattr(event, whole)
        for parts, whole in f.PARTS
    )


def _time(event: AgentEvent, limits: EventLimits) -> int | None:
    try:
        ms = epoch_ms(event.occurred_at)
    except Complaint:
        return None
    return ms if NOW_MS - limits.max_age_ms <= ms <= NOW_MS + limits.max_future_ms else None


def _context(event: AgentEvent, limits: EventLimits) -> bytes | None:
    raw = bytes(event.context)
    if raw in (b"", b"null"):
        return b""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return None
    if raw[:1] != b"{" or re.search(suspicious_context(limits.context_depth), raw.decode()):
        return None
    text = msgspec.json.format(raw, indent=-1)
    return text if len(text) <= limits.context_bytes else None


def _strings_are_fine(event: AgentEvent) -> bool:
    for field in f.FIELDS:
        value = getattr(event, field.name)
        if field.kind != "text" or value is None:
            continue
        if field.name in f.RAW_IDENTIFIER_FIELDS and "@" in value:
            return False
        if re.search(SUSPICIOUS_STRING, value):
            return False
    return True


def _money(value: str | float, maximum: int) -> str | None:
    if isinstance(value, str) and (not re.fullmatch(f.DECIMAL_PATTERN, value) or "\n" in value):
        return None
    amount = Decimal(value if isinstance(value, str) else repr(value))
    if not 0 <= amount <= maximum:
        return None
    return f"{abs(round(amount, f.MONEY_PLACES)):.12f}"
