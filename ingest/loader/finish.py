"""Knows when a drain is over: everything the topics held at its start is in, whoever landed it.

In: the watermarks at the start, the loop's own partitions, and for those of other loaders the ledger, asked every few
seconds. A target is an offset; a partition is done when its landed prefix has reached it.
"""

from collections.abc import Sequence
from typing import Final

from ingest.errors import MeterhouseError
from ingest.kafka import KafkaAdmin
from ingest.loader.clock import Clock
from ingest.loader.ledger import Ledger
from ingest.loader.loop import Loop
from ingest.loader.run import Source

_ASK_EVERY_S: Final = 2.0
# How long a drain may own nothing while nobody lands anything; a group settles within a session timeout.
_LONGEST_IDLE_S: Final = 90.0


class Finish:
    """Made before the loop starts reading."""

    def __init__(self, admin: KafkaAdmin, ledger: Ledger, loop: Loop, topics: Sequence[str], clock: Clock) -> None:
        self._ledger = ledger
        self._loop = loop
        self._clock = clock
        self._ids = {name: str(topic.topic_id) for name, topic in admin.describe(topics).items()}
        if missing := set(topics) - self._ids.keys():
            raise MeterhouseError(f"topic {min(missing)} does not exist; create it or send to it, then run again.")
        self._marks = admin.watermarks(topics)
        if unmarked := set(topics) - {topic for topic, _ in self._marks}:  # else this drain would be over at once
            raise MeterhouseError(f"Kafka names no partition of topic {min(unmarked)} at the moment; run again.")
        self._targets = {key: marks.high for key, marks in self._marks.items()}
        self._elsewhere: set[tuple[str, int]] = set()
        self._seen: dict[tuple[str, int], int] = {}
        self._moved_at_s = clock.monotonic()
        self._ask_at_s = clock.monotonic() + _ASK_EVERY_S

    def is_reached(self) -> bool:
        """Whether every partition is landed up to its target. Raises where waiting on makes no sense."""
        open_ones = self._targets.keys() - self._loop.is_past(self._targets) - self._elsewhere
        if not open_ones:
            return True
        now_s = self._clock.monotonic()
        if now_s >= self._ask_at_s:
            self._ask_at_s = now_s + _ASK_EVERY_S
            ours = {(one.source.topic, one.source.partition) for one in self._loop.standings()}
            self._elsewhere |= {key for key in open_ones - ours if self._is_landed(key)}
            if ours:
                self._moved_at_s = now_s
            elif now_s - self._moved_at_s > _LONGEST_IDLE_S:
                topic, number = min(open_ones)
                raise MeterhouseError(
                    f"this drain was given no partition and nobody landed anything for {_LONGEST_IDLE_S:g} s, with "
                    f"{topic}[{number}] still short of offset {self._targets[topic, number]}: another member of the "
                    "group holds it. Stop that loader, or set METERHOUSE_CONSUMER_GROUP to a group of its own; what is "
                    "claimed stays claimed, and nothing lands twice."
                )
        return False

    def remaining(self) -> int:
        """Messages up to the targets that this process still has to land, as far as it knows."""
        reached = {(one.source.topic, one.source.partition): one.next_offset for one in self._loop.standings()}
        return sum(
            max(0, target - reached.get(key, self._marks[key].low))
            for key, target in self._targets.items()
            if key not in self._elsewhere
        )

    def _is_landed(self, key: tuple[str, int]) -> bool:
        position = self._ledger.take_up(Source(key[0], self._ids[key[0]], key[1]))
        next_offset = self._marks[key].low if position.next_offset is None else position.next_offset
        if self._seen.get(key) != next_offset:
            self._seen[key] = next_offset
            self._moved_at_s = self._clock.monotonic()
        return not position.redo and next_offset >= self._targets[key]
