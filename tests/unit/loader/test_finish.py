"""A drain ends: when all is landed, and also when it is given nothing and nobody else lands anything."""

import uuid
from dataclasses import dataclass, field
from typing import cast

import pytest

from ingest.errors import MeterhouseError
from ingest.kafka import KafkaAdmin, TopicDescription, Watermarks
from ingest.loader.finish import Finish
from ingest.loader.ledger import Ledger, Position
from ingest.loader.loop import Loop
from ingest.loader.partition import Standing
from ingest.loader.run import Source
from tests.support.clock import ManualClock

TOPIC = "agent_events"


class FakeAdmin:
    def describe(self, _: object) -> dict[str, TopicDescription]:
        return {TOPIC: TopicDescription(TOPIC, uuid.UUID(int=7), (0,))}

    def watermarks(self, _: object) -> dict[tuple[str, int], Watermarks]:
        return {(TOPIC, 0): Watermarks(0, 100)}


@dataclass
class FakeLedger:
    landed: int = 0

    def take_up(self, _: Source) -> Position:
        return Position((), self.landed or None)


@dataclass
class FakeLoop:
    past: set[tuple[str, int]] = field(default_factory=set)

    def is_past(self, _: object) -> set[tuple[str, int]]:
        return self.past

    def standings(self) -> list[Standing]:
        return []


def made(ledger: FakeLedger, loop: FakeLoop, clock: ManualClock) -> Finish:
    return Finish(cast("KafkaAdmin", FakeAdmin()), cast("Ledger", ledger), cast("Loop", loop), [TOPIC], clock)


def test_a_drain_is_over_when_another_loader_has_landed_what_was_there_at_the_start() -> None:
    clock, ledger = ManualClock(), FakeLedger(99)
    finish = made(ledger, FakeLoop(), clock)
    clock.advance(3)
    assert not finish.is_reached()
    ledger.landed = 100
    clock.advance(3)
    finish.is_reached()
    assert finish.is_reached()


def test_a_drain_that_is_given_nothing_while_nobody_lands_anything_ends_with_a_sentence() -> None:
    clock, ledger = ManualClock(), FakeLedger()
    finish = made(ledger, FakeLoop(), clock)
    for landed in (10, 20, 30):  # somebody lands, slowly: wait
        ledger.landed = landed
        clock.advance(80)
        assert not finish.is_reached()
    clock.advance(80)
    assert not finish.is_reached()
    clock.advance(80)
    with pytest.raises(MeterhouseError, match="METERHOUSE_CONSUMER_GROUP"):
        finish.is_reached()
