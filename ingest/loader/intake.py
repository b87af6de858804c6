"""Cuts the stream of one source into runs.

In: messages in order of offset, the clock, and the claims that must be redone with the bounds they have. Out: batches,
each the next link of the chain (first = the run before's last + 1). Pure: no Kafka, no threads, no clock of its own.
Bounds: flush before append, so no batch exceeds rows or bytes, except a single message larger than the limit.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ingest.loader.run import Batch, Claim, Messages, Run, Source


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """When a batch is full: messages, payload bytes, or seconds since its first message was read."""

    rows: int
    size: int
    age_s: float


class Intake:
    """The open run of one source. `position` is the offset the next message is expected at."""

    def __init__(self, source: Source, position: int, redo: Iterable[Claim], limits: BatchLimits) -> None:
        self.source = source
        self._limits = limits
        self._redo = deque(sorted(redo, key=lambda claim: claim.run.first))
        self._chain_end = position
        self._held = Messages()
        self._size = 0
        self._lost = 0
        self._since_s = 0.0
        self.position = self._redo[0].run.first if self._redo else position

    @property
    def size(self) -> int:
        """Payload bytes held in the open run."""
        return self._size

    @property
    def is_open(self) -> bool:
        return bool(self._held) or self.position > self._first

    def add(self, messages: Messages, now_s: float) -> Iterator[Batch]:
        """Takes messages whose offsets are at or after `position`; yields the runs they fill."""
        while messages:
            if messages.offsets[0] < self.position:  # between claims, or behind the last: done by somebody
                messages = messages.slice(_until(messages.offsets, self.position - 1))
                continue
            wall = self._redo[0].run.last if self._redo else None
            if wall is not None and messages.offsets[0] > wall:
                yield from self.reach(messages.offsets[0], now_s)
                continue
            room = _until(messages.offsets, wall) if wall is not None else self._fitting(messages)
            if room == 0:
                yield self._cut(self.position - 1)
                continue
            part = messages if room == len(messages) else messages.slice(0, room)
            if not self._held:
                self._since_s = now_s
            self._held.extend(part)
            self._size += part.size
            self.position = part.offsets[-1] + 1
            messages = messages.slice(room) if room < len(messages) else Messages()
            if wall is not None and self.position > wall:
                yield self._cut(wall)
            elif wall is None and len(self._held) >= self._limits.rows:
                yield self._cut(self.position - 1)

    def reach(self, position: int, now_s: float) -> Iterator[Batch]:
        """The stream went on to `position` without messages (compaction, markers of transactions, retention)."""
        if not self.is_open and position > self.position:
            self._since_s = now_s
        while self._redo and position > self._redo[0].run.last:
            self.position = self._redo[0].run.last + 1
            yield self._cut(self._redo[0].run.last)
        self.position = max(self.position, position)

    def lose(self, offsets: int) -> None:
        """Counts offsets that the broker gave away before they were read, on the open run."""
        self._lost += offsets

    def due(self, now_s: float, enough: int | None = None, enough_bytes: int | None = None) -> Iterator[Batch]:
        """The open run, when its oldest message has waited long enough, or it holds `enough` messages or bytes. A redo
        waits for its last offset instead."""
        if self._redo or not self.is_open:
            return
        is_enough = (enough is not None and len(self._held) >= enough) or (
            enough_bytes is not None and self._size >= enough_bytes
        )
        if is_enough or now_s - self._since_s >= self._limits.age_s:
            yield self._cut(self.position - 1)

    @property
    def _first(self) -> int:
        return self._redo[0].run.first if self._redo else self._chain_end

    def _fitting(self, messages: Messages) -> int:
        """How many of `messages` fit into the open run."""
        rows = min(len(messages), self._limits.rows - len(self._held))
        size = self._size
        if rows == len(messages) and size + messages.size <= self._limits.size:
            return rows
        for index, value in enumerate(messages.values[:rows]):
            size += len(value) if value is not None else 0
            if size > self._limits.size and (index or self._held):
                return index
        return rows

    def _cut(self, last: int) -> Batch:
        claim = self._redo.popleft() if self._redo else None
        run = claim.run if claim is not None else Run(self.source, self._chain_end, last)
        batch = Batch(run, self._held, self._size, self._since_s, claim, self._lost)
        if claim is None:
            self._chain_end = last + 1
        elif self._redo:
            self.position = max(self.position, self._redo[0].run.first)
        else:
            self.position = max(self.position, self._chain_end)
        self._held, self._size, self._lost = Messages(), 0, 0
        return batch


def _until(offsets: list[int], last: int) -> int:
    """How many of the ascending offsets are at most `last`."""
    for index, offset in enumerate(offsets):
        if offset > last:
            return index
    return len(offsets)
