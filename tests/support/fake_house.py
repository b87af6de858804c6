"""A loader without servers: the real loop, lander, take-up and intake, over a ledger in memory and a Kafka of lists.

Workers do their work when a test says so, in the order they were given it; time moves when somebody waits.
"""

import dataclasses
import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar, cast

import pyarrow as pa
from clickhouse_connect.driver.client import Client
from confluent_kafka import TopicPartition

from ingest.kafka import KafkaAdmin, TopicDescription, Watermarks
from ingest.loader.clock import Clock, Deadline
from ingest.loader.commits import Commits
from ingest.loader.dead_letters import DeadLetters
from ingest.loader.intake import BatchLimits
from ingest.loader.lander import Lander
from ingest.loader.ledger import Ledger, Position
from ingest.loader.loop import Loop, LoopLimits
from ingest.loader.metrics import Metrics
from ingest.loader.partition import Key
from ingest.loader.rejects import RejectGuard
from ingest.loader.retry import Retrier, RetryPolicy
from ingest.loader.run import Batch, Claim, Decoded, Decoder, Headers, Run, Source, Stream
from ingest.loader.takeup import TakeUp
from ingest.loader.watchdog import Watchdog
from ingest.warehouse_errors import kind_of
from tests.support.clock import ManualClock
from tests.support.fake_kafka import FakeBroker, FakeConsumer

A0, A1, A2 = (("events", number) for number in range(3))
B0, B1, B2 = (("events_eu", number) for number in range(3))
ALL = (A0, A1, A2, B0, B1, B2)

_P = ParamSpec("_P")
_T = TypeVar("_T")


class ManualExecutor(Executor):
    """Keeps what it is given until `work`; `is_prompt` does it at once."""

    def __init__(self, *, is_prompt: bool = False) -> None:
        self.is_prompt = is_prompt
        self.waiting: list[Callable[[], None]] = []

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> "Future[_T]":
        future: Future[_T] = Future()

        def work() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except Exception as error:  # noqa: BLE001  # as an executor does
                future.set_exception(error)

        self.waiting.append(work)
        if self.is_prompt:
            self.work()
        return future

    def work(self, most: int = 1_000) -> None:
        """Does so much of what waits, oldest first."""
        for _ in range(min(most, len(self.waiting))):
            self.waiting.pop(0)()


@dataclasses.dataclass
class FakeLedger:
    """Claims and proofs as ClickHouse would keep them, shared by several loaders. `fault` is raised where set."""

    claims: dict[Source, dict[int, Claim]] = dataclasses.field(default_factory=dict)
    done: dict[Source, dict[int, int]] = dataclasses.field(default_factory=dict)
    messages: dict[Source, list[int]] = dataclasses.field(default_factory=dict)
    lost: int = 0
    fault: Callable[[Run], None] = lambda _: None

    def seen_by(self, owner: str) -> "OwnLedger":
        return OwnLedger(self, owner)

    def chain(self, source: Source) -> list[tuple[int, int]]:
        """The runs that are done, in order."""
        return sorted(self.done.get(source, {}).items())


@dataclasses.dataclass
class OwnLedger:
    """One loader's view: what the loader asks of ingest.loader.ledger.Ledger."""

    shared: FakeLedger
    owner: str

    def claim(self, run: Run, judged_at_ms: int, _attempt: int = 0) -> Claim:
        claims = self.shared.claims.setdefault(run.source, {})
        return claims.setdefault(run.first, Claim(run, judged_at_ms, self.owner))

    def take_up(self, source: Source) -> Position:
        claims, done = self.shared.claims.get(source, {}), self.shared.done.get(source, {})
        redo = tuple(claims[first] for first in sorted(claims.keys() - done.keys()))
        end = max([*(last + 1 for last in done.values()), *(one.run.last + 1 for one in redo)], default=0)
        return Position(redo, end or None)

    def is_done(self, run: Run) -> bool:
        return run.first in self.shared.done.get(run.source, {})

    def finish(self, batch: Batch, claim: Claim, *_: object) -> None:
        self.shared.fault(claim.run)
        source = claim.run.source
        if self.shared.done.setdefault(source, {}).setdefault(claim.run.first, claim.run.last) == claim.run.last:
            self.shared.messages.setdefault(source, []).extend(batch.messages.offsets)
        self.shared.lost += batch.lost


@dataclasses.dataclass
class FakeAdmin:
    """What the take-up asks of ingest.kafka.KafkaAdmin."""

    broker: FakeBroker

    def describe(self, names: Sequence[str]) -> dict[str, TopicDescription]:
        numbers = tuple(range(self.broker.partitions))
        return {name: TopicDescription(name, uuid.uuid5(uuid.NAMESPACE_DNS, name), numbers) for name in names}

    def watermarks(self, names: Sequence[str]) -> dict[Key, Watermarks]:
        low = self.broker.low
        return {key: Watermarks(low.get(key, 0), len(log)) for key, log in self.broker.logs.items() if key[0] in names}


class NoRows:
    """Decodes every message into nothing, so that runs need no table."""

    def decode(
        self, _values: Sequence[bytes | None], _judged_at_ms: int, _headers: Sequence[Headers | None] = ()
    ) -> Decoded:
        origin = cast("pa.Int32Array", pa.array([], pa.int32()))
        return Decoded(pa.RecordBatch.from_pylist([], pa.schema([])), origin, [], {})


def source_of(key: Key) -> Source:
    return Source(key[0], str(uuid.uuid5(uuid.NAMESPACE_DNS, key[0])), key[1])


class House:
    """One loader process of the test's making; several may share broker and ledger."""

    def __init__(
        self,
        broker: FakeBroker,
        shared: FakeLedger,
        name: str = "one",
        *,
        is_cooperative: bool = False,
        rows: int = 10,
        age_s: float = 0.0,
        in_flight: int = 4,
        buffer_bytes: int = 1 << 20,
        drain_deadline_s: float = 10.0,
    ) -> None:
        self.broker, self.shared = broker, shared
        self.clock = ManualClock()
        self.workers, self.asking = ManualExecutor(is_prompt=True), ManualExecutor(is_prompt=True)
        self.consumer = FakeConsumer(broker, is_cooperative=is_cooperative)
        self.commits = Commits()
        self.mended: list[float] = []
        self.drain_deadline_s = drain_deadline_s
        ledger, metrics, clock = cast("Ledger", shared.seen_by(name)), Metrics(), cast("Clock", self.clock)
        retrier = Retrier(
            RetryPolicy(0.0), classify=kind_of, stop=threading.Event(), on_retry=lambda *_: None, clock=clock
        )
        nothing = cast("Any", None)  # no rows and no dead letters: neither is asked
        lander = Lander(
            cast("Client", nothing), ledger, cast("DeadLetters", nothing), RejectGuard(1.0, 1), retrier, metrics, clock
        )
        self.loop = Loop(
            cast("Any", self.consumer),
            [
                Stream("events", topic, f"{topic}.dlq", "raw.agent_events", cast("Decoder", NoRows()))
                for topic in broker.topics
            ],
            TakeUp(cast("KafkaAdmin", FakeAdmin(broker)), ledger, clock, 60.0),
            lander,
            self.workers,
            self.asking,
            LoopLimits(BatchLimits(rows, 1 << 20, age_s), in_flight, buffer_bytes, drain_deadline_s, 15.0),
            metrics,
            Watchdog(60.0, clock=clock),
            clock,
            commits=self.commits,
            commit=self.commit,
            mend=lambda: self.mended.append(self.clock.monotonic()),
            is_cooperative=is_cooperative,
        )
        rebalance = self.loop.rebalance
        self.consumer.subscribe(rebalance.on_assign, rebalance.on_revoke, rebalance.on_lost)

    def commit(self, offsets: list[TopicPartition]) -> None:
        self.consumer.commit(offsets)

    def turn(self, times: int = 12) -> None:
        for _ in range(times):
            self.loop.turn()
            self.clock.advance(1.0)

    def drain(self) -> None:
        """As the service ends a loop."""
        deadline = Deadline(cast("Clock", self.clock), self.drain_deadline_s)
        stopping = threading.Event()
        stopping.set()
        self.loop.run(stopping, lambda: True, lambda: deadline)


def assert_once(broker: FakeBroker, ledger: FakeLedger) -> None:
    """Every message in one run that is done, the runs a chain without hole or overlap."""
    for key, log in broker.logs.items():
        at = 0
        for first, last in ledger.chain(source_of(key)):
            assert first == at, f"{key}: expected a run from {at}, came {ledger.chain(source_of(key))}"
            at = last + 1
        assert at == len(log), f"{key}: landed to {at} of {len(log)}"
        assert sorted(ledger.messages.get(source_of(key), [])) == list(range(broker.low.get(key, 0), len(log)))


def told(house: House) -> dict[Key, int]:
    """What the group was told last, by partition."""
    return {key: offset for commit in house.consumer.committed for key, offset in commit.items()}


def leave(house: House) -> None:
    """As the service does between the loop and the close."""
    house.loop.rebalance.leave(Deadline(cast("Clock", house.clock), 1.0))
