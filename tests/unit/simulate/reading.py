"""Messages read back from their text, by other means than wrote them."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import cast

from ingest.simulate import Message, Simulation
from ingest.simulate.config import parse_time

END_MS = parse_time("2026-11-18T12:00Z", "--end")
"""A Wednesday, so that offices are at work for most of the window."""


@dataclass(frozen=True)
class Event:
    """An event as its text says it. Money exact, times in ms, missing numbers None."""

    text: dict[str, object]
    at_ms: int
    event_id: str

    def word(self, name: str) -> str:
        return cast("str", self.text.get(name, ""))

    def number(self, name: str) -> int | None:
        return cast("int | None", self.text.get(name))

    def money(self, name: str) -> Decimal | None:
        value = self.text.get(name)
        return None if value is None else Decimal(str(value))

    def latency_ms(self) -> float:
        return float(cast("float", self.text.get("latency_ms", 0.0)))

    def context(self, name: str) -> object:
        return cast("dict[str, object]", self.text["context"]).get(name)


@dataclass(frozen=True)
class Played:
    """A whole simulation: the messages in order, and the distinct events as the last copy says them."""

    simulation: Simulation
    messages: list[Message]
    events: dict[str, Event]


def read_event(value: bytes) -> Event:
    text: dict[str, object] = json.loads(value, parse_float=Decimal)
    at = text["occurred_at"]
    if isinstance(at, int):
        at_ms = at
    else:
        since = datetime.fromisoformat(cast("str", at)) - datetime(1970, 1, 1, tzinfo=UTC)
        at_ms = since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
    return Event(text, at_ms, cast("str", text["event_id"]).lower())
