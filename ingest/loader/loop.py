"""Reads Kafka, cuts runs, hands them to workers, and keeps every partition's promises through rebalances.

In: a consumer subscribed to the streams' topics. Out: runs landed in order of claim; the Tally. One thread turns the
loop and touches the consumer; workers touch only their batch. Blocking calls here are bounded by seconds, far below
max.poll.interval.ms. Raises the error of a run that failed; its claim stays, so the next start redoes it.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from ingest.errors import MeterhouseError, WorkAbandonedError
from ingest.loader.clock import Clock
from ingest.loader.intake import BatchLimits, Intake
from ingest.loader.lander import Lander
from ingest.loader.metrics import Metric, Metrics
from ingest.loader.partition import Flight, Partition, Standing
from ingest.loader.run import Failed, Fenced, Landed, Messages, Outcome, Stream
from ingest.loader.takeup import Taken, TakeUp
from ingest.loader.watchdog import Watchdog

READ_MESSAGES = 10_000
POLL_S = 0.05
REVOKE_WAIT_S = 5.0
COMMIT_EVERY_S = 1.0
RESUME_BELOW = 0.7

Key = tuple[str, int]
log = structlog.get_logger()


class ConsumerLike(Protocol):
    """What the loop uses of confluent_kafka.Consumer; `commit` comes apart, since its overloads fit no protocol."""

    def consume(self, num_messages: int = ..., timeout: float = ...) -> list[Message]: ...
    def assign(self, partitions: list[TopicPartition]) -> None: ...
    def incremental_assign(self, partitions: list[TopicPartition]) -> None: ...
    def seek(self, partition: TopicPartition) -> None: ...
    def pause(self, partitions: list[TopicPartition]) -> None: ...
    def resume(self, partitions: list[TopicPartition]) -> None: ...


@dataclass(slots=True)
class Tally:
    """What this process has done so far; counts of messages and rows."""

    messages: int = 0
    landed: int = 0
    rejected: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class LoopLimits:
    """Bounds of one loop: a batch's, runs in flight, bytes in memory, seconds to finish in when stopping."""

    batch: BatchLimits
    in_flight: int
    buffer_bytes: int
    drain_deadline_s: float


class Loop:
    """One per process."""

    def __init__(
        self,
        consumer: ConsumerLike,
        streams: Iterable[Stream],
        take_up: TakeUp,
        lander: Lander,
        workers: Executor,
        limits: LoopLimits,
        metrics: Metrics,
        watchdog: Watchdog,
        clock: Clock,
        *,
        commit: Callable[[list[TopicPartition], bool], object],
        is_cooperative: bool,
    ) -> None:
        self._consumer = consumer
        self._commit_offsets = commit
        self._streams = {stream.topic: stream for stream in streams}
        self._take_up = take_up
        self._lander = lander
        self._workers = workers
        self._limits = limits
        self._metrics = metrics
        self._watchdog = watchdog
        self._clock = clock
        self._is_cooperative = is_cooperative
        self._partitions: dict[Key, Partition] = {}
        self._awaiting: dict[Key, bool] = {}  # assigned and not taken up; True: the consumer already reads it
        self._orphans: list[Flight] = []
        self._paused = False
        self._commit_at_s = 0.0
        self.tally = Tally()

    def run(self, stopping: threading.Event, is_finished: Callable[[], bool]) -> None:
        """Turns until stopped or finished, then lands what was read, within the deadline."""
        while not stopping.is_set() and not is_finished():
            self.turn()
        self._drain()

    def turn(self) -> None:
        """One turn: read, cut, hand out, collect."""
        self._watchdog.beat()
        self._metrics.count(Metric.LOOP_TURNS)
        if self._awaiting:
            self._resolve()
        self._receive(self._consumer.consume(READ_MESSAGES, POLL_S))
        now_s = self._clock.monotonic()
        for partition in self._partitions.values():
            partition.ready.extend(partition.intake.due(now_s))
        self._hand_out()
        self._collect()
        self._throttle()
        if now_s >= self._commit_at_s:
            self._commit(self._partitions, asynchronous=True)
            self._commit_at_s = now_s + COMMIT_EVERY_S

    def standings(self) -> list[Standing]:
        """How far each taken-up partition is; safe to call from another thread."""
        return [
            Standing(one.source, one.next_offset, one.last_appended_ms, one.newest_occurred_ms)
            for one in list(self._partitions.values())
        ]

    @property
    def is_waiting(self) -> bool:
        """Whether assigned partitions are not read yet, because their place in the ledger is not known."""
        return bool(self._awaiting)

    def is_past(self, targets: Mapping[Key, int]) -> set[Key]:
        """Those of the targets' partitions that are ours and landed up to their target."""
        return {
            key
            for key, target in targets.items()
            if (one := self._partitions.get(key)) and one.is_idle and one.intake.position >= target
        }

    # Rebalances: called inside consume(), in this thread.

    def on_assign(self, _: object, partitions: list[TopicPartition]) -> None:
        """Takes note; the ledger is asked outside the callback, so that a slow ClickHouse cannot block the group."""
        self._assign([])  # says to the client: assigned by hand, not from committed offsets
        self._awaiting.update({(one.topic, one.partition): False for one in partitions})

    def on_revoke(self, _: object, partitions: list[TopicPartition]) -> None:
        """Claimed runs are finished or left to the next owner; what is not claimed is dropped."""
        keys = [(one.topic, one.partition) for one in partitions]
        mine = {key: self._partitions[key] for key in keys if key in self._partitions}
        for partition in mine.values():
            partition.ready.clear()
        deadline = self._clock.monotonic() + REVOKE_WAIT_S
        while any(one.flying for one in mine.values()) and self._clock.monotonic() < deadline:
            self._clock.wait(threading.Event(), 0.02)
            self._watchdog.beat()
            self._collect()
        self._commit(mine, asynchronous=False)
        self._forget(keys)

    def on_lost(self, _: object, partitions: list[TopicPartition]) -> None:
        """They are somebody else's already: nothing is committed."""
        self._forget([(one.topic, one.partition) for one in partitions])

    def _forget(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._awaiting.pop(key, None)
            if partition := self._partitions.pop(key, None):
                self._orphans.extend(partition.flying)

    def _assign(self, partitions: list[TopicPartition]) -> None:
        if self._is_cooperative:
            self._consumer.incremental_assign(partitions)
        else:
            self._consumer.assign(partitions)

    def _resolve(self) -> None:
        """Asks the ledger where the awaiting partitions go on, and starts reading there."""
        taken = self._take_up.try_all(self._awaiting)
        if taken is None:
            return
        fresh = [TopicPartition(one.key[0], one.key[1], one.start) for one in taken if not self._awaiting[one.key]]
        for one in taken:
            if self._awaiting.pop(one.key):
                self._consumer.seek(TopicPartition(one.key[0], one.key[1], one.start))
            self._open(one)
        if fresh and not self._is_cooperative:
            # An eager assignment replaces the whole: partitions already read go on where they are.
            newly = {(one.topic, one.partition) for one in fresh}
            fresh += [
                TopicPartition(topic, number, one.read_to)
                for (topic, number), one in self._partitions.items()
                if (topic, number) not in newly
            ]
        if fresh:
            self._assign(fresh)
            self._paused = False
        log.info("partitions_assigned", taken_up=len(taken), owned=len(self._partitions))

    def _open(self, taken: Taken) -> None:
        stream = self._streams[taken.key[0]]
        intake = Intake(taken.source, taken.position, taken.redo, self._limits.batch)
        partition = Partition(stream, taken.source, intake, next_offset=intake.position, read_to=taken.start)
        self._partitions[taken.key] = partition
        now_s = self._clock.monotonic()
        if taken.start > intake.position:
            intake.lose(taken.start - intake.position)
            partition.ready.extend(intake.reach(taken.start, now_s))
        log.info("took_up", source=str(taken.source), position=intake.position, redo=len(taken.redo))

    # Reading.

    def _receive(self, received: list[Message]) -> None:
        now_s = self._clock.monotonic()
        for (topic, number), group in groupby(received, key=_key):
            partition = self._partitions.get((topic or "", -1 if number is None else number))
            messages = Messages()
            for message in group:
                error = message.error()
                if error is not None:
                    self._on_event(partition, messages, message, error, now_s)
                    messages = Messages()
                else:
                    messages.offsets.append(message.offset())  # type: ignore[arg-type]  # set on every message
                    messages.values.append(message.value())
                    messages.keys.append(message.key())
                    messages.appended_ms.append(message.timestamp()[1])
            self._take_in(partition, messages, now_s)

    def _take_in(self, partition: Partition | None, messages: Messages, now_s: float) -> None:
        if partition is None or not messages:
            return
        if messages.offsets[0] < partition.read_to:
            log.warning("offsets_went_back", source=str(partition.source), to=messages.offsets[0])
            self._again((partition.source.topic, partition.source.partition))
            return
        partition.read_to = messages.offsets[-1] + 1
        topic = partition.source.topic
        self._metrics.count(Metric.MESSAGES_READ, len(messages), topic=topic)
        self._metrics.count(Metric.BYTES_READ, messages.size, topic=topic)
        partition.ready.extend(partition.intake.add(messages, now_s))

    def _on_event(
        self, partition: Partition | None, before: Messages, message: Message, error: KafkaError, now_s: float
    ) -> None:
        self._take_in(partition, before, now_s)
        code = error.code()
        if code == KafkaError._PARTITION_EOF:  # noqa: SLF001  # the client's public constant
            if partition is not None:
                partition.ready.extend(partition.intake.reach(message.offset() or 0, now_s))
        elif code in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):  # noqa: SLF001
            if partition is not None:
                self._again((partition.source.topic, partition.source.partition))
        elif error.fatal() or code in _STOPS:
            raise MeterhouseError(
                f"Kafka stopped the loader: {error.str()}. Check METERHOUSE_KAFKA_OPTIONS and the group's rights, "
                "then start again; nothing is lost."
            )
        else:
            log.warning("kafka_event", code=error.name(), words=error.str())

    def _again(self, key: Key) -> None:
        """Forgets a partition's buffer and takes it up anew from the ledger; it stays assigned."""
        self._forget([key])
        self._awaiting[key] = True

    # Handing out and collecting.

    def _hand_out(self) -> None:
        flying = sum(len(one.flying) for one in self._partitions.values()) + len(self._orphans)
        for partition in sorted(self._partitions.values(), key=lambda one: len(one.flying)):
            while flying < self._limits.in_flight and partition.may_fly:
                batch, claimed = partition.ready.popleft(), threading.Event()
                future = self._workers.submit(self._lander.land, partition.stream, batch, claimed)
                partition.flying.append(Flight(batch, future, claimed))
                flying += 1
        self._metrics.set(Metric.RUNS_IN_FLIGHT, flying)

    def _collect(self) -> None:
        for key, partition in list(self._partitions.items()):
            for outcome in partition.landings():
                if self._settle(outcome):
                    self._again(key)
                    break
        for orphan in [one for one in self._orphans if one.future.done()]:
            self._orphans.remove(orphan)
            self._settle(orphan.future.result())

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

    def _throttle(self) -> None:
        held = sum(one.held_bytes for one in self._partitions.values())
        self._metrics.set(Metric.BUFFER_BYTES, held)
        self._metrics.set(Metric.BUFFER_FILL_RATIO, held / self._limits.buffer_bytes)
        full = held >= self._limits.buffer_bytes * (RESUME_BELOW if self._paused else 1.0)
        if full != self._paused:
            every = [TopicPartition(topic, number) for topic, number in self._partitions]
            (self._consumer.pause if full else self._consumer.resume)(every)
            self._paused = full
        self._metrics.set(Metric.PARTITIONS_ASSIGNED, len(self._partitions) + len(self._awaiting))
        self._metrics.set(Metric.PARTITIONS_PAUSED, len(self._partitions) if self._paused else 0)

    def _commit(self, partitions: Mapping[Key, Partition], *, asynchronous: bool) -> None:
        ahead = {key: one for key, one in partitions.items() if one.next_offset > max(one.committed, 0)}
        if not ahead:
            return
        offsets = [TopicPartition(topic, number, one.next_offset) for (topic, number), one in ahead.items()]
        try:
            self._commit_offsets(offsets, asynchronous)
        except KafkaException as error:  # a courtesy to other tools: the ledger is what counts
            log.info("commit_failed", words=error.args[0].str())
            return
        for one in ahead.values():
            one.committed = one.next_offset

    def _drain(self) -> None:
        """Lands what was read; what is left at the deadline is named, and redone by the next start."""
        deadline = self._clock.monotonic() + self._limits.drain_deadline_s
        for partition in self._partitions.values():
            partition.ready.extend(partition.intake.due(float("inf")))
        while any(one.ready or one.flying for one in self._partitions.values()) or self._orphans:
            if self._clock.monotonic() > deadline:
                left = [str(flight.batch.run) for one in self._partitions.values() for flight in one.flying]
                raise WorkAbandonedError(
                    f"stopped after {self._limits.drain_deadline_s:g} s with {len(left)} runs left, the first "
                    f"{left[0] if left else 'not claimed'}; nothing is lost: the next start takes them up."
                )
            self._watchdog.beat()
            self._hand_out()
            self._collect()
            self._clock.wait(threading.Event(), 0.01)
        self._commit(self._partitions, asynchronous=False)


# Errors of the group or of rights, after which reading on makes no sense.
_STOPS = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.INCONSISTENT_GROUP_PROTOCOL,
        KafkaError._AUTHENTICATION,  # noqa: SLF001  # the client's public constant
    }
)


def _key(message: Message) -> tuple[str | None, int | None]:
    return message.topic(), message.partition()
