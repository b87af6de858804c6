"""One round: load, faults, an end to them, a drain, and the count.

The same seed and number draw the same faults at the same times; what they hit in the loader differs from run to run,
which is the point of many rounds.
"""

import random
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench import stand
from ingest.embedded import processes
from tests.chaos.arena import PARTITIONS, TOPICS, Arena, Loader
from tests.chaos.faults import Planned, Scene, plan
from tests.chaos.inspect_stores import read_tables, read_topics, stop_merges
from tests.chaos.ledger import Verdict, compare
from tests.chaos.load import Load

_SETTLE_S = 5.0
"""A loader's start and its joining of the group: faults before it would hit nobody."""
_WINDOW_S = 8.5
_DRAIN_WITHIN_S = 120.0
# Clean, work left to the next one, or the signal came before the loader was far enough to handle it.
_GOOD_ENDS = (0, 3, -signal.SIGTERM)


@dataclass(frozen=True)
class Outcome:
    """A round's faults, counts and seconds. `notes` are ends of loaders that nobody asked for."""

    number: int
    faults: list[str]
    verdict: Verdict
    seconds: float
    notes: list[str]


class Round:
    """Prepared by its construction; `play` gives the outcome."""

    def __init__(self, arena: Arena, seed: int, number: int, rate: int) -> None:
        self.prefix = f"c{seed % 100_000}r{number}_"
        self.topics = [f"{self.prefix}{name}" for name in TOPICS]
        self.loaders = [Loader(arena, self.prefix, name) for name in ("one", "two")]
        self._arena, self._number, self._rate = arena, number, rate
        self._draw = random.Random(f"{seed}/{number}")
        client = stand.open_client(arena.engine_port)
        try:
            stand.make_tables(client, self.prefix)
            stop_merges(client, self.prefix)
        finally:
            client.close()
        stand.make_topics(arena.bootstrap, self.topics, PARTITIONS)

    def play(self) -> Outcome:
        """Runs it. Whatever happens, the loaders and the faults have ended when it returns or raises."""
        started = time.monotonic()
        visitor = Loader(self._arena, self.prefix, "visitor")
        planned = plan(self._draw, self._number, self._arena.is_apache, _WINDOW_S)
        load = Load(self._arena.bootstrap, self.topics, PARTITIONS, self._draw.getrandbits(32), self._rate)
        complaints: list[str] = []
        try:
            for loader in self.loaders:
                loader.start()
            load.start()
            self._wait(_SETTLE_S)
            self._strike(planned, Scene(self._arena, self.loaders, visitor, self._draw))
            load.finish()
            complaints += self._end_loaders(is_violent=self._draw.random() < 0.3)
            complaints += self.drain()
        finally:
            for loader in (*self.loaders, visitor):
                loader.kill()
        verdict = self.count(load.acknowledged)
        verdict.complaints.extend(complaints)
        notes = [note for loader in (*self.loaders, visitor) for note in loader.died]
        names = [f"{one.fault.name} {one.at_s:.1f}+{one.length_s:.1f}s" for one in planned]
        return Outcome(self._number, names, verdict, time.monotonic() - started, notes)

    def drain(self) -> list[str]:
        """`meterhouse load --drain` in the group of the others; complaints where it does not end with 0 in time."""
        drainer = Loader(self._arena, self.prefix, "drainer")
        drainer.start("--drain")
        try:
            code = drainer.wait(_DRAIN_WITHIN_S)
        except subprocess.TimeoutExpired:
            drainer.kill()
            return [f"the drain did not end within {_DRAIN_WITHIN_S:g} s: {processes.tail(drainer.log, max_bytes=600)}"]
        return [] if code == 0 else [f"the drain ended with {code}: {processes.tail(drainer.log, max_bytes=600)}"]

    def count(self, acknowledged: set[str]) -> Verdict:
        """What the topics hold against what the tables hold, after the last request on its way has arrived."""
        self._arena.proxy.wait_quiet()
        client = stand.open_client(self._arena.engine_port)
        try:
            return compare(
                read_topics(self._arena.bootstrap, self.topics, acknowledged), read_tables(client, self.prefix)
            )
        finally:
            client.close()

    def remove(self) -> None:
        """Drops the round's databases and topics."""
        client = stand.open_client(self._arena.engine_port)
        try:
            stand.drop_tables(client, self.prefix)
        finally:
            client.close()
        stand.drop_topics(self._arena.bootstrap, self.topics)

    def _strike(self, planned: list[Planned], scene: Scene) -> None:
        began = time.monotonic()
        waiting = list(planned)
        running: list[tuple[float, Callable[[], None]]] = []
        try:
            while waiting or running:
                now_s = time.monotonic() - began
                for one in [one for one in waiting if one.at_s <= now_s]:
                    waiting.remove(one)
                    running.append((one.at_s + one.length_s, one.fault.begin(scene)))
                for ending in [ending for ending in running if ending[0] <= now_s]:
                    running.remove(ending)
                    ending[1]()
                self._wait(0.05)
        finally:
            for _, end in running:
                end()

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left_s := deadline - time.monotonic()) > 0:
            for loader in self.loaders:
                loader.keep()
            time.sleep(min(0.1, left_s))

    def _end_loaders(self, is_violent: bool) -> list[str]:
        complaints = []
        for loader in self.loaders:
            if is_violent:
                loader.kill()
            elif loader.is_running and (code := loader.stop()) not in _GOOD_ENDS:
                how = f"ended with {code}" if code is not None else "did not end within 30 s"
                complaints.append(f"loader {loader.name} {how} on SIGTERM: {processes.tail(loader.log, max_bytes=600)}")
        return complaints
