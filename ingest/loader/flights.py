"""Hands batches to the workers and collects what became of them.

In: partitions with batches that wait. Out: the Tally, and which partitions somebody else has decided about. A batch
flies only when the one before it has its bounds (Partition.may_fly). Raises the error of a run that failed; its claim
stays, so the next start redoes it.
"""

import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, wait
from dataclasses import dataclass

from ingest.loader.lander import Lander
from ingest.loader.metrics import Metric, Metrics
from ingest.loader.partition import Flight, Key, Partition
from ingest.loader.run import Failed, Fenced, Landed, Outcome


@dataclass(slots=True)
class Tally:
    """What this process has done so far; counts of messages and rows."""

    messages: int = 0
    landed: int = 0
    rejected: int = 0
    lost: int = 0


class Flights:
    """Touched only by the loop's thread; workers touch only their batch."""

    def __init__(self, lander: Lander, workers: Executor, most: int, metrics: Metrics) -> None:
        """`most` is how many runs may fly at once."""
        self._lander = lander
        self._workers = workers
        self._most = most
        self._metrics = metrics
        self._orphans: list[Flight] = []
        self.tally = Tally()

    @property
    def orphans(self) -> int:
        """Runs that fly on although their partition was forgotten."""
        return len(self._orphans)

    def flying(self, partitions: Mapping[Key, Partition]) -> int:
        """How many runs are in workers' hands."""
        return sum(len(one.flying) for one in partitions.values()) + len(self._orphans)

    def has_room(self, partitions: Mapping[Key, Partition]) -> bool:
        """Whether one more run may fly."""
        return self.flying(partitions) < self._most

    def hand_out(self, partitions: Mapping[Key, Partition]) -> None:
        """Starts what may fly: those with the fewest in the air first, and of these whoever has waited longest, so that
        no partition starves while others always have the next batch ready."""
        flying = sum(len(one.flying) for one in partitions.values()) + len(self._orphans)
        waiting = [one for one in partitions.values() if one.ready]
        for partition in sorted(waiting, key=lambda one: (len(one.flying), one.ready[0].oldest_read_s)):
            while flying < self._most and partition.may_fly:
                batch, claimed = partition.ready.popleft(), threading.Event()
                future = self._workers.submit(self._lander.land, partition.stream, batch, claimed)
                partition.flying.append(Flight(batch, future, claimed))
                flying += 1
        self._metrics.set(Metric.RUNS_IN_FLIGHT, flying)

    def wait(self, partitions: Mapping[Key, Partition], timeout_s: float) -> None:
        """Returns when one of the runs that fly has ended, or after the timeout."""
        flying = [flight.future for one in partitions.values() for flight in one.flying]
        wait([*flying, *(one.future for one in self._orphans)], timeout_s, FIRST_COMPLETED)

    def collect(self, partitions: Mapping[Key, Partition]) -> list[Key]:
        """Counts in what has landed; the partitions that must be taken up again since they were fenced."""
        fenced = []
        for key, partition in partitions.items():
            for outcome in partition.landings():
                if self._settle(outcome):
                    fenced.append(key)
                    break
        for orphan in [one for one in self._orphans if one.future.done()]:
            self._orphans.remove(orphan)
            self._settle(orphan.future.result())
        return fenced

    def orphan(self, flights: Iterable[Flight]) -> None:
        """Keeps an eye on flights whose partition is forgotten."""
        self._orphans.extend(flights)

    def _settle(self, outcome: Outcome) -> bool:
        """Counts an outcome in; whether its partition must be taken up again."""
        if isinstance(outcome, Landed):
            self.tally.messages += outcome.messages
            self.tally.landed += outcome.landed
            self.tally.rejected += outcome.rejected
            self.tally.lost += outcome.lost
            return False
        if isinstance(outcome, Failed):
            raise outcome.error
        return isinstance(outcome, Fenced)
