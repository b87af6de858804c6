"""From a configuration to messages in order of arrival: slice by slice, so that memory does not grow with the
number of events.

`Simulation.chunks()` yields thousands of messages at once (for files, producers and benches); `simulate()` one by
one. Each slice of the window starts runs, plays them to their end, and files their rows under the slice in which they
arrive.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from ingest.simulate import faults, flaws
from ingest.simulate.config import HOUR_MS, SimulationConfig
from ingest.simulate.draws import Draws, Ints
from ingest.simulate.encode import Encoder
from ingest.simulate.incidents import Effects, Incident, place_incidents
from ingest.simulate.rows import Rows, join_rows
from ingest.simulate.runaway import runaway_rows
from ingest.simulate.runs import RunBatch
from ingest.simulate.truth import Truth
from ingest.simulate.world import World

_SLICE_EVENTS = 32_768
_LONGEST_SLICE_MS = HOUR_MS // 2
CHUNK_EVENTS = 8_192
_FIRST_GUESS_EVENTS_A_RUN = 14.0


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it goes to Kafka. `expected` is 'landed', 'repeat' (a further copy of an event) or
    'dead_letter'.
    """

    key: bytes
    value: bytes
    kind: str
    expected: str
    event_id: str
    occurred_at_ms: int


@dataclass(frozen=True)
class Chunk:
    """Messages in order of arrival. `lines` has one JSON text a line; `rows` the numbers behind them (see rows.py)."""

    lines: bytes
    rows: Rows
    encoder: Encoder

    def __len__(self) -> int:
        return len(self.rows)

    def split(self, size: int) -> Iterator["Chunk"]:
        """The same messages in chunks of at most `size`."""
        if size >= len(self):
            yield self
            return
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            lines = b"\n".join(self.values[part]) + b"\n"
            yield Chunk(lines, self.rows[part], self.encoder)

    @cached_property
    def values(self) -> list[bytes]:
        """The messages' bodies."""
        return self.lines[:-1].split(b"\n")

    @cached_property
    def keys(self) -> list[bytes]:
        """The messages' keys: the workspace, also where the body is broken."""
        return [self.encoder.keys[number] for number in self.rows["workspace"].tolist()]

    @cached_property
    def event_ids(self) -> list[str]:
        """The messages' event ids in lower case; that of a malformed one is what it had before it was spoilt."""
        joined = self.encoder.event_ids(self.rows).tobytes().decode("ascii")
        return [joined[at : at + 36] for at in range(0, len(joined), 36)]


class Simulation:
    """One simulation. `incidents` are known before the first event; `truth` is complete once `chunks()` has ended."""

    def __init__(self, config: SimulationConfig) -> None:
        self.config = config
        self.world = World(config)
        self.incidents: list[Incident] = place_incidents(self.world)
        self.truth = Truth(self.world, self.incidents)
        self._effects = Effects(self.incidents)
        self._encoder = Encoder(self.world)
        self._faults = faults.FaultMaker(config, self._effects)
        self._next_event = 1
        self._next_run = 1
        self._made_events = 0
        self._regular_events = 0
        self._regular_runs = 0
        self._waiting: dict[int, list[Rows]] = {}

    def chunks(self) -> Iterator[Chunk]:
        """All messages, by arrival; may be called once."""
        bounds = self._bounds()
        left = self.config.events
        weights = np.stack([self._weights(start, end) for start, end in pairwise(bounds)])
        after = weights.sum(axis=1)[::-1].cumsum()[::-1]
        for number in range(len(weights)):
            wanted = (self.config.events - self._made_events) * weights[number] / float(after[number])
            self._play_slice(number, bounds, wanted)
            if number == len(weights) - 1:
                self._fill_up(number, bounds, weights[number])
            arrived = self._arrivals(number)
            arrived, left = _cut(arrived, left)
            for start in range(0, len(arrived), CHUNK_EVENTS):
                yield self._chunk(arrived[start : start + CHUNK_EVENTS])
            if left == 0:
                break
        self._waiting.clear()

    def _bounds(self) -> list[int]:
        """Starts of the slices and the end of the last."""
        window_ms = self.config.window_ms
        slices = max(-(-window_ms // _LONGEST_SLICE_MS), -(-self.config.events // _SLICE_EVENTS))
        slices = min(slices, window_ms)
        return [self.config.start_ms + window_ms * number // slices for number in range(slices + 1)]

    def _weights(self, start_ms: int, end_ms: int) -> Ints:
        weights = self.world.weights(start_ms, end_ms) + 1
        for silence in self._effects.silences:
            overlap_ms = silence.overlap_ms(start_ms, end_ms)
            weights[silence.index] = weights[silence.index] * (end_ms - start_ms - overlap_ms) // (end_ms - start_ms)
        return weights

    def _play_slice(self, number: int, bounds: list[int], wanted: Ints) -> None:
        """Starts runs that give about `wanted` events a workspace, and whatever a runaway agent does meanwhile."""
        draws = Draws(self.config.seed, 4, number)
        events_a_run = (
            self._regular_events / self._regular_runs if self._regular_runs > 500 else _FIRST_GUESS_EVENTS_A_RUN
        )
        exact = np.maximum(np.asarray(wanted, dtype=np.float64), 0.0) / events_a_run
        runs = np.floor(exact + draws.u16(len(exact)) / 65536.0).astype(np.int64)
        self._start_runs(number, bounds, runs, draws)
        for incident in self._effects.runaways:
            rows = runaway_rows(
                self.world, incident, bounds[number], bounds[number + 1], float(wanted.sum()), self._next_event
            )
            self._next_event += len(rows)
            rows = rows[~self._effects.is_lost(rows["workspace"], rows["at_ms"], rows["at_ms"])]
            self._file(number, bounds, rows, draws)

    def _start_runs(self, number: int, bounds: list[int], runs: Ints, draws: Draws) -> None:
        workspace = np.repeat(np.arange(len(runs), dtype=np.int64), runs)
        count = len(workspace)
        if not count:
            return
        start_ms = bounds[number] + draws.below(bounds[number + 1] - bounds[number], count)
        agent = np.zeros(count, dtype=np.int64)
        for index, table in enumerate(self.world.agents_of):
            mine = workspace == index
            agent[mine] = draws.pick(table, int(mine.sum()))
        lost = self._effects.is_lost(workspace, start_ms, start_ms)
        agent, start_ms = agent[~lost], start_ms[~lost]
        if not len(agent):
            return
        batch = RunBatch(self.world, self._effects, draws, agent, start_ms, self._next_run, self._next_event)
        rows = batch.simulate()
        self._next_run += len(agent)
        self._next_event = batch.next_event
        started_ms = start_ms[rows["run_no"].astype(np.int64) - int(batch.run_no[0])]
        rows = rows[~self._effects.is_lost(rows["workspace"], started_ms, rows["at_ms"])]
        self._regular_events += len(rows)
        self._regular_runs += len(agent)
        self._file(number, bounds, rows, draws)

    def _fill_up(self, number: int, bounds: list[int], weights: Ints) -> None:
        """More runs in the last slice until the window holds the number of events asked for."""
        for attempt in range(10_000):
            missing = self.config.events - self._made_events
            if missing <= 0:
                return
            draws = Draws(self.config.seed, 5, attempt)
            share = np.asarray(weights, dtype=np.float64) / max(1.0, float(weights.sum()))
            runs = np.floor(share * missing / _FIRST_GUESS_EVENTS_A_RUN).astype(np.int64)
            runs[int(np.argmax(weights))] += 1
            self._start_runs(number, bounds, runs, draws)

    def _file(self, number: int, bounds: list[int], rows: Rows, draws: Draws) -> None:
        """Drops what has not happened by the window's end, adds the faults, and files every row under its slice of
        arrival.
        """
        rows = rows[rows["at_ms"] < self.config.end_ms]
        if not len(rows):
            return
        self._made_events += len(rows)
        rows, self._next_event = self._faults.add(rows, draws, self._next_event)
        slot = np.searchsorted(np.asarray(bounds), rows["arrival_ms"], side="right") - 1
        slot = np.clip(slot, number, len(bounds) - 2)
        order = np.argsort(slot, kind="stable")
        rows, slot = rows[order], slot[order]
        edges = np.flatnonzero(np.diff(slot)) + 1
        firsts = [0, *edges.tolist()]
        for part, first in zip(np.split(rows, edges), firsts, strict=True):
            # Copied, or the few rows of a late event would keep alive everything that was made with them.
            self._waiting.setdefault(int(slot[first]), []).append(part.copy())

    def _arrivals(self, number: int) -> Rows:
        rows = join_rows(self._waiting.pop(number, []))
        return rows[np.argsort(rows["arrival_ms"], kind="stable")]

    def _chunk(self, rows: Rows) -> Chunk:
        self.truth.add(rows)
        return Chunk(_spoil(self._encoder.encode(rows), rows), rows, self._encoder)


def _spoil(lines: bytes, rows: Rows) -> bytes:
    """The lines with the texts of the flawed rows in place of the sound ones."""
    flawed = np.flatnonzero(rows["flaw"] > 0).tolist()
    if not flawed:
        return lines
    texts = lines[:-1].split(b"\n")
    for index in flawed:
        texts[index] = flaws.spoil(texts[index], int(rows["flaw"][index]))
    return b"\n".join(texts) + b"\n"


def _cut(rows: Rows, left: int) -> tuple[Rows, int]:
    """Rows up to the last event that is still wanted, and how many first copies of valid events are wanted after
    them.
    """
    firsts = np.cumsum(faults.is_first(rows))
    if not len(rows) or int(firsts[-1]) < left:
        return rows, left - (int(firsts[-1]) if len(rows) else 0)
    return rows[: int(np.searchsorted(firsts, left)) + 1], 0


def simulate(config: SimulationConfig) -> Iterator[Message]:
    """The messages of a configuration, one by one, in order of arrival."""
    for chunk in Simulation(config).chunks():
        kinds, at_ms = chunk.rows["kind"].tolist(), chunk.rows["at_ms"].tolist()
        flaws = chunk.rows["flaw"].tolist()
        for key, value, kind, flaw, event_id, moment in zip(
            chunk.keys, chunk.values, kinds, flaws, chunk.event_ids, at_ms, strict=True
        ):
            yield Message(key, value, faults.kind_name(kind, flaw), faults.expected(kind), event_id, moment)
