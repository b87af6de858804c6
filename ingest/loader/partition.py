"""The state of one assigned partition: its intake, the batches that wait and those that fly.

Touched only by the loop's thread. `next_offset` is the landed prefix: everything before it is in, for good;
`read_to` is where the consumer reads on.
"""

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

from ingest.loader.intake import Intake
from ingest.loader.run import Batch, Landed, Outcome, Source, Stream

Key = tuple[str, int]
"""Topic and partition."""


@dataclass(slots=True)
class Flight:
    """A batch in a worker's hands."""

    batch: Batch
    future: "Future[Outcome]"
    claimed: threading.Event


@dataclass(slots=True)
class Partition:
    """One partition between assignment and revocation."""

    stream: Stream
    source: Source
    intake: Intake
    next_offset: int
    read_to: int
    ready: deque[Batch] = field(default_factory=deque)
    flying: deque[Flight] = field(default_factory=deque)
    last_appended_ms: int | None = None
    newest_occurred_ms: int | None = None
    oldest_occurred_ms: int | None = None

    @property
    def held_bytes(self) -> int:
        """Payload bytes that are read and not yet landed."""
        return (
            self.intake.size
            + sum(batch.size for batch in self.ready)
            + sum(flight.batch.size for flight in self.flying)
        )

    @property
    def is_idle(self) -> bool:
        """Whether everything read so far is in."""
        return not (self.ready or self.flying or self.intake.is_open)

    @property
    def may_fly(self) -> bool:
        """Whether the next waiting batch may be claimed: the one before must have its bounds."""
        return bool(self.ready) and (not self.flying or self.flying[-1].claimed.is_set())

    @property
    def standing(self) -> "Standing":
        """How far it is."""
        return Standing(
            self.source, self.next_offset, self.last_appended_ms, self.oldest_occurred_ms, self.newest_occurred_ms
        )

    def landings(self) -> Iterator[Outcome]:
        """Takes finished flights off, in order of offset, as far as they are finished."""
        while self.flying and self.flying[0].future.done():
            outcome = self.flying.popleft().future.result()
            if isinstance(outcome, Landed):
                self.next_offset = max(self.next_offset, outcome.run.last + 1)
                self.last_appended_ms = outcome.max_appended_ms or self.last_appended_ms
                if outcome.min_occurred_ms is not None:
                    self.oldest_occurred_ms = outcome.min_occurred_ms
                self.newest_occurred_ms = max(
                    (ms for ms in (self.newest_occurred_ms, outcome.max_occurred_ms) if ms is not None), default=None
                )
            yield outcome


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one partition is, for whoever reports it from another thread.

    `oldest_occurred_ms` is of the last run that had rows (how late it is what arrives now), `newest_occurred_ms` of all
    since the partition was taken up.
    """

    source: Source
    next_offset: int
    last_appended_ms: int | None
    oldest_occurred_ms: int | None
    newest_occurred_ms: int | None
