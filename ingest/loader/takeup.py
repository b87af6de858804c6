"""Finds where assigned partitions go on: the topic's incarnation and reach from Kafka, the claims from the ledger.

In: partitions by topic and number. Out: Taken for each, or None when Kafka or ClickHouse did not answer (to be tried
again; after the deadline the error is raised). Called by the loop's thread; one try takes seconds at most.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import structlog

from ingest.errors import MeterhouseError
from ingest.kafka import KafkaAdmin, KafkaUnavailableError
from ingest.loader.clock import Clock
from ingest.loader.ledger import Ledger
from ingest.loader.retry import first_line
from ingest.loader.run import Claim, Source
from ingest.warehouse_errors import ErrorKind, kind_of

_PAUSE_S: Final = 1.0
_HOPELESS: Final = (ErrorKind.AUTHENTICATION, ErrorKind.SCHEMA)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Taken:
    """Where to go on: `position` ends the chain of claims, `start` is the first offset to read (of a redo, or where
    the broker's log begins)."""

    key: tuple[str, int]
    source: Source
    position: int
    start: int
    redo: tuple[Claim, ...]


class PartitionGoneError(Exception):
    """Assigned, and not described: the topic is being made or deleted. Worth another try."""


class TakeUp:
    """Keeps only when it last failed."""

    def __init__(self, admin: KafkaAdmin, ledger: Ledger, clock: Clock, deadline_s: float) -> None:
        self._admin = admin
        self._ledger = ledger
        self._clock = clock
        self._deadline_s = deadline_s
        self._failing_since_s: float | None = None
        self._next_try_s = 0.0

    def try_all(self, keys: Iterable[tuple[str, int]]) -> list[Taken] | None:
        """All of them, or None: not yet. Raises MeterhouseError where waiting cannot help."""
        now_s = self._clock.monotonic()
        if now_s < self._next_try_s:
            return None
        try:
            taken = self._look_up(sorted(keys))
        except Exception as error:
            self._failing_since_s = now_s if self._failing_since_s is None else self._failing_since_s
            self._next_try_s = now_s + _PAUSE_S
            is_settled = isinstance(error, MeterhouseError) and not isinstance(error, KafkaUnavailableError)
            if is_settled or kind_of(error) in _HOPELESS or now_s - self._failing_since_s > self._deadline_s:
                raise
            log.warning("take_up_failed", words=first_line(error), again_in_s=_PAUSE_S)
            return None
        self._failing_since_s = None
        return taken

    def _look_up(self, keys: list[tuple[str, int]]) -> list[Taken]:
        topics = {topic for topic, _ in keys}
        described = self._admin.describe(topics)
        reach = self._admin.watermarks(topics)
        taken = []
        for topic, number in keys:
            if (topic, number) not in reach:
                raise PartitionGoneError(f"topic {topic} has no partition {number} at the moment")
            source = Source(topic, str(described[topic].topic_id), number)
            position = self._ledger.take_up(source)
            marks = reach[topic, number]
            chain_end = marks.low if position.next_offset is None else position.next_offset
            if chain_end > marks.high:
                raise MeterhouseError(
                    f"{source} ends at offset {marks.high}, but {chain_end - 1} was landed from the same topic: Kafka "
                    "lost acknowledged messages (an unclean leader election?). Delete and create the topic, or send to "
                    "a new one, to load on."
                )
            first = position.redo[0].run.first if position.redo else chain_end
            taken.append(Taken((topic, number), source, chain_end, max(first, marks.low), position.redo))
        return taken
