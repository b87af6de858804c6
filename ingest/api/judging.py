"""A batch of events to what goes to Kafka and what is refused, event by event.

In: the events of one body (structs where the whole body decoded at once, else raw JSON values) and the credential. Out:
Judged: canonical messages, refusals by index, what was dropped by name. Never raises for any content. Fast path: struct
and the rules below, some 3 µs an event. What misses a rule is rewritten (aliases.py) and judged by the contract's own
judge(), which costs 20 times as much; both accept the same events, and judge() accepts all that leaves here (tested).
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec.structs import force_setattr

from ingest.api.aliases import Rewriter
from ingest.api.credential import Credential
from ingest.api.door_event import ENCODER, EVENT, DoorEvent
from ingest.contracts.agent_event import AgentEvent
from ingest.contracts.check import judge
from ingest.contracts.denial import NAMING_KEYS, denied
from ingest.contracts.fields import (
    DECIMAL_PATTERN,
    FIELDS,
    MAX_COST_USD,
    MAX_UNIT_COST_USD,
    NIL_UUID,
    TIME_PATTERN,
    UUID_PATTERN,
)
from ingest.contracts.outcome import Accepted, EventLimits, Refused

_UUID = re.compile(UUID_PATTERN.rstrip("$")).fullmatch
_TIME = re.compile(TIME_PATTERN.rstrip("$")).fullmatch
_DECIMAL = re.compile(DECIMAL_PATTERN.rstrip("$")).fullmatch
_NAMES: Final = tuple(spec.name for spec in FIELDS)
_ADDRESS = re.compile(rb'@[^\s@"]*\.')
# Careful events judged before others get their turn on the loop: about a millisecond.
_TURN: Final = 20


@dataclass(frozen=True, slots=True)
class RefusedEvent:
    """Why one event of a batch is not taken. `error_class` is the contract's, or one of the door's own two."""

    index: int
    error_class: str
    field: str
    reason: str


@dataclass(slots=True)
class Judged:
    """What became of a batch. `dropped` and `unknown` count by name what does not go on."""

    messages: list[bytes] = field(default_factory=list)
    refused: list[RefusedEvent] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    careful: int = 0


class Judge:
    """Judges batches by the contract's limits."""

    def __init__(self, limits: EventLimits, rewriter: Rewriter) -> None:
        self._limits = limits
        self._rewriter = rewriter

    async def judge(
        self, body: bytes, events: Sequence[DoorEvent | bytes], credential: Credential, now_ms: int
    ) -> Judged:
        """`body` is what the events were decoded from: one look at it spares one at each event."""
        judged = Judged()
        fast = _Fast(self._limits, credential, now_ms)
        is_suspicious = may_hold_address(body)
        for index, event in enumerate(events):
            if isinstance(event, bytes):
                raw = event
            else:
                message = fast.message(event, is_suspicious=is_suspicious)
                if message is not None:
                    judged.messages.append(message)
                    continue
                raw = ENCODER.encode(event)
            judged.careful += 1
            self._carefully(index, raw, fast, judged)
            if judged.careful % _TURN == 0:
                await asyncio.sleep(0)
        return judged

    def _carefully(self, index: int, raw: bytes, fast: "_Fast", judged: Judged) -> None:
        if len(raw) > self._limits.max_event_bytes:
            reason = f"event: expected at most {self._limits.max_event_bytes} bytes, came {len(raw)}."
            judged.refused.append(RefusedEvent(index, "too_large", "", reason))
            return
        objection, raw = self._rewriter.rewrite(raw, fast.credential, judged.dropped, judged.aliases)
        if objection is not None:
            judged.refused.append(RefusedEvent(index, *objection))
            return
        message = fast.reread(raw)
        if message is None:
            verdict = judge(raw, judged_at_ms=fast.now_ms, limits=self._limits)
            if isinstance(verdict, Refused):
                judged.refused.append(RefusedEvent(index, verdict.error_class, verdict.field, verdict.reason))
                return
            message = canonical(verdict)
            _add(judged.dropped, verdict.dropped)
            _add(judged.unknown, verdict.unknown)
            if len(message) > self._limits.max_event_bytes:
                reason = f"event: expected at most {self._limits.max_event_bytes} bytes, came more once written out."
                judged.refused.append(RefusedEvent(index, "too_large", "", reason))
                return
        judged.messages.append(message)


def canonical(verdict: Accepted) -> bytes:
    """The accepted event as a message: what is missing is left out."""
    event: AgentEvent = verdict.event
    values = {name: value for name in _NAMES if name != "context" and (value := getattr(event, name)) is not None}
    if bytes(event.context) not in (b"", b"null"):
        values["context"] = event.context
    return ENCODER.encode(values)


def may_hold_address(text: bytes) -> bool:
    """False only where no string of this JSON can hold an e-mail address; an escape could spell any character."""
    return (
        (b"@" in text and _ADDRESS.search(text) is not None)
        or (b"\\" in text and b"\\u" in text)
        or (b"%" in text and b"%40" in text)
    )


class _Fast:
    """The rules of the fast path for one batch."""

    def __init__(self, limits: EventLimits, credential: Credential, now_ms: int) -> None:
        self.credential = credential
        self.now_ms = now_ms
        self._oldest = now_ms - limits.max_age_ms
        self._newest = now_ms + limits.max_future_ms
        self._limits = limits
        self._workspace = credential.workspace_id
        self._only = credential.only_environment

    def reread(self, raw: bytes) -> bytes | None:
        """`message` for an event as JSON text."""
        try:
            event = EVENT.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        return self.message(event, is_suspicious=True)

    def message(self, event: DoorEvent, *, is_suspicious: bool) -> bytes | None:
        """The event as it goes to Kafka, or None where only the careful path can decide.

        `is_suspicious`: an e-mail address may stand in it.
        """
        if not self._stamp(event):
            return None
        if not (self._has_identity(event) and _fits_parts(event) and _fits_money(event)):
            return None
        if event.context is not None and not is_clean(event.context, self._limits.context_depth):
            return None
        try:
            message = ENCODER.encode(event)
        except (msgspec.MsgspecError, OverflowError, ValueError):
            return None
        if len(message) > self._limits.context_bytes and not self._fits_context(event, message):
            return None
        if is_suspicious and may_hold_address(message):
            return None
        return None if "@" in (event.session_id or "") or "@" in (event.actor_id or "") else message

    def _stamp(self, event: DoorEvent) -> bool:
        """Fills in what the credential decides; False where the event names something else."""
        if event.workspace_id is None:
            force_setattr(event, "workspace_id", self._workspace)
        elif event.workspace_id != self._workspace:
            return False
        if event.environment is None:
            if self._only is not None:
                force_setattr(event, "environment", self._only)
        elif not self.credential.may_name(event.environment):
            return False
        return True

    def _has_identity(self, event: DoorEvent) -> bool:
        if _UUID(event.event_id) is None or event.event_id == NIL_UUID:
            return False
        at = event.occurred_at
        if isinstance(at, str):
            if _TIME(at) is None:
                return False
            try:
                at = int(datetime.fromisoformat(at.upper()).astimezone(UTC).timestamp() * 1000)
            except (ValueError, OverflowError):
                return False
            # A float's last place may be a millisecond off: the contract's own reading decides at the edges.
            return self._oldest + 1 < at < self._newest - 1
        return self._oldest <= at <= self._newest

    def _fits_context(self, event: DoorEvent, message: bytes) -> bool:
        return (
            len(message) <= self._limits.max_event_bytes
            and len(ENCODER.encode(event.context)) <= self._limits.context_bytes
        )


def _fits_parts(event: DoorEvent) -> bool:
    cached = (event.cache_read_tokens or 0) + (event.cache_write_tokens or 0)
    if event.input_tokens is not None and cached > event.input_tokens:
        return False
    if event.output_tokens is not None and event.reasoning_tokens:
        return event.reasoning_tokens <= event.output_tokens
    return True


def _fits_money(event: DoorEvent) -> bool:
    for amount, maximum in (
        (event.cost_usd, MAX_COST_USD),
        (event.unit_cost_input, MAX_UNIT_COST_USD),
        (event.unit_cost_output, MAX_UNIT_COST_USD),
    ):
        if amount is None:
            continue
        if isinstance(amount, str):
            if _DECIMAL(amount) is None or not float(amount) < maximum:
                return False
        elif not 0 <= amount <= maximum:
            return False
    return True


def is_clean(value: object, levels: int) -> bool:
    """Whether a parsed context needs nobody to look closer: shallow, no denied name, no JSON inside a string."""
    if isinstance(value, str):
        return value.lstrip(" ")[:1] not in ("{", "[")
    if isinstance(value, dict):
        if levels <= 0:
            return False
        return all(
            denied(name) is None and name not in NAMING_KEYS and is_clean(item, levels - 1)
            for name, item in value.items()
        )
    if isinstance(value, list):
        return levels > 0 and all(is_clean(item, levels - 1) for item in value)
    return True


def _add(into: dict[str, int], counts: Mapping[str, int]) -> None:
    for name, hits in counts.items():
        into[name] = into.get(name, 0) + hits
