"""Reads Kafka, cuts runs and hands them to workers, turn by turn.

In: a consumer subscribed to the streams' topics. Out: runs landed in order of claim; the Tally. One thread turns the
loop and touches the consumer; what is assigned is rebalance.py's affair, what flies is flights.py's. No call here
blocks for longer than a poll, so that the group sees a live member whatever ClickHouse does.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import structlog
from confluent_kafka import KafkaError, Message, TopicPartition

from ingest.errors import MeterhouseError, WorkAbandonedError
from ingest.loader.clock import Clock, Deadline
from ingest.loader.commits import Commits
from ingest.loader.flights import Flights, Tally
from ingest.loader.intake import BatchLimits
from ingest.loader.lander import Lander
from ingest.loader.metrics import Metric, Metrics
from ingest.loader.partition import Key, Standing
from ingest.loader.rebalance import ConsumerLike, Rebalance
from ingest.loader.run import Headers, Messages, Stream
from ingest.loader.takeup import TakeUp
from ingest.loader.watchdog import Watchdog

# Of more, the later ones have left the processor's cache before they are looked at.
READ_MESSAGES: Final = 2_000
POLL_S: Final = 0.05
DRAIN_POLL_S: Final = 0.01
COMMIT_EVERY_S: Final = 1.0
RESUME_BELOW: Final = 0.7
# A worker that has nothing to do does not wait for a run to fill beyond this; beside each that works, beyond as much
# again: every run costs the engine about 30 ms of CPU, and small parts are merged twice.
EAGER_ROWS: Final = 16_384
# Nor beyond as many bytes: a message of OTLP is a hundred rows.
EAGER_BYTES_A_ROW: Final = 768
# A run lands sooner than this, unless something is wrong.
PAUSE_AFTER_S: Final = 1.0
# Of the drain deadline: for leaving the group and closing, so that these fall within it too.
LEAVING_SHARE: Final = 0.2

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LoopLimits:
    """Bounds of one loop: a batch's, runs in flight, bytes in memory, seconds to end in when stopping, seconds to wait
    for the group before it is looked after."""

    batch: BatchLimits
    in_flight: int
    buffer_bytes: int
    drain_deadline_s: float
    group_patience_s: float


class Loop:
    """One per process. `rebalance` has the callbacks to subscribe with."""

    def __init__(
        self,
        consumer: ConsumerLike,
        streams: Iterable[Stream],
        take_up: TakeUp,
        lander: Lander,
        workers: Executor,
        asking: Executor,
        limits: LoopLimits,
        metrics: Metrics,
        watchdog: Watchdog,
        clock: Clock,
        *,
        commits: Commits,
        commit: Callable[[list[TopicPartition]], object],
        mend: Callable[[], None],
        is_cooperative: bool,
    ) -> None:
        self._consumer = consumer
        self._limits = limits
        self._metrics = metrics
        self._watchdog = watchdog
        self._clock = clock
        self._commits = commits
        self._commit = commit
        self._flights = Flights(lander, workers, limits.in_flight, metrics)
        self.rebalance = Rebalance(
            consumer,
            streams,
            take_up,
            asking,
            limits.batch,
            self._flights,
            commits,
            clock,
            commit=commit,
            beat=watchdog.beat,
            mend=mend,
            patience_s=limits.group_patience_s,
            is_cooperative=is_cooperative,
        )
        self._partitions = self.rebalance.partitions
        self._with_headers = self.rebalance.topics_with_headers
        self._paused: set[Key] = set()
        self._is_full = False
        self._full_since_s = clock.monotonic()
        self._commit_at_s = 0.0

    @property
    def tally(self) -> Tally:
        """What this process has done so far."""
        return self._flights.tally

    def run(self, stopping: threading.Event, is_finished: Callable[[], bool], end_by: Callable[[], Deadline]) -> None:
        """Turns until stopped or finished, then lands what was read.

        `end_by` is asked then: by that deadline the process has to be at its end. Raises WorkAbandonedError where work
        is left when a fifth of the drain deadline is.
        """
        while not stopping.is_set() and not is_finished():
            self.turn()
        self._drain(end_by())

    def turn(self) -> None:
        """One turn: read, cut, hand out, collect."""
        self._watchdog.beat()
        self._metrics.count(Metric.LOOP_TURNS)
        self.rebalance.resolve()
        self._read()
        now_s = self._clock.monotonic()
        if self._flights.has_room(self._partitions):  # or it may as well go on filling: fewer, larger parts
            due_s = float("inf") if self._is_full else now_s
            enough = EAGER_ROWS * (1 + self._flights.flying(self._partitions))
            for partition in self._partitions.values():
                if not partition.ready:
                    partition.ready.extend(partition.intake.due(due_s, enough, enough * EAGER_BYTES_A_ROW))
        self._flights.hand_out(self._partitions)
        self.rebalance.collect()
        self._throttle()
        if now_s >= self._commit_at_s:
            self._commits.send(self._commit, self._partitions)
            self._commit_at_s = now_s + COMMIT_EVERY_S

    def standings(self) -> list[Standing]:
        """How far each taken-up partition is; safe to call from another thread."""
        return [one.standing for one in list(self._partitions.values())]

    def is_past(self, targets: Mapping[Key, int]) -> set[Key]:
        """Those of the targets' partitions that are ours and landed up to their target."""
        return {
            key
            for key, target in targets.items()
            if (one := self._partitions.get(key)) and one.is_idle and one.intake.position >= target
        }

    def _read(self) -> None:
        """Polls; with a full buffer it waits for a run to land first, since to pause costs what was read ahead."""
        if self._is_full and not self._paused and self._is_landing():
            self._flights.wait(self._partitions, POLL_S)
        else:
            self._receive(self._consumer.consume(READ_MESSAGES, POLL_S))

    def _receive(self, received: list[Message]) -> None:
        now_s = self._clock.monotonic()
        for key, group in groupby(received, key=_key):
            waiting: list[Message] = []
            for message in group:
                error = message.error()
                if error is None:
                    waiting.append(message)
                    continue
                self._take_in(key, _messages(waiting, key[0] in self._with_headers), now_s)
                waiting = []
                self._on_event(key, message, error, now_s)
            self._take_in(key, _messages(waiting, key[0] in self._with_headers), now_s)

    def _take_in(self, key: Key, messages: Messages, now_s: float) -> None:
        partition = self._partitions.get(key)
        if partition is None or not messages:
            return
        if messages.offsets[0] < partition.read_to:
            log.warning("offsets_went_back", source=str(partition.source), to=messages.offsets[0])
            self.rebalance.again(key)
            return
        partition.read_to = messages.offsets[-1] + 1
        self._metrics.count(Metric.MESSAGES_READ, len(messages), topic=key[0])
        self._metrics.count(Metric.BYTES_READ, messages.size, topic=key[0])
        partition.ready.extend(partition.intake.add(messages, now_s))

    def _on_event(self, key: Key, message: Message, error: KafkaError, now_s: float) -> None:
        code, partition = error.code(), self._partitions.get(key)
        if code == KafkaError._PARTITION_EOF:  # noqa: SLF001  # the client's public constant
            if partition is not None:
                partition.ready.extend(partition.intake.reach(message.offset() or 0, now_s))
        elif code in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):  # noqa: SLF001
            if partition is not None:
                self.rebalance.again(key)
        elif error.fatal() or code in _STOPS:
            raise MeterhouseError(
                f"Kafka stopped the loader: {error.str()}. Check METERHOUSE_KAFKA_OPTIONS and the group's rights, "
                "then start again; nothing is lost."
            )
        else:
            log.warning("kafka_event", code=error.name(), words=error.str())

    def _throttle(self) -> None:
        """Pauses what is read when too much is held, so that polling goes on; resumes it when enough has landed.

        Where nothing can land before more is read (claims to redo, of several loaders that died), reading goes on.
        """
        held = sum(one.held_bytes for one in self._partitions.values())
        self._is_full = held >= self._limits.buffer_bytes * (RESUME_BELOW if self._paused else 1.0)
        now_s = self._clock.monotonic()
        if not self._is_full or not self._is_landing():
            self._full_since_s = now_s
        self._paused &= self._partitions.keys()
        wanted = set(self._partitions) if now_s - self._full_since_s >= PAUSE_AFTER_S else set()
        if pause := wanted - self._paused:
            self._consumer.pause([TopicPartition(*key) for key in sorted(pause)])
        if resume := self._paused - wanted:
            self._consumer.resume([TopicPartition(*key) for key in sorted(resume)])
        self._paused = wanted
        self._metrics.set(Metric.BUFFER_BYTES, held)
        self._metrics.set(Metric.BUFFER_FILL_RATIO, held / self._limits.buffer_bytes)
        self._metrics.set(Metric.PARTITIONS_ASSIGNED, self.rebalance.assigned)
        self._metrics.set(Metric.PARTITIONS_PAUSED, len(self._paused))

    def _drain(self, deadline: Deadline) -> None:
        """Lands what was read, polling on so that the group can rebalance meanwhile. What is left when only the time
        to leave is left is named, and redone by the next start."""
        for partition in self._partitions.values():
            partition.ready.extend(partition.intake.due(float("inf")))
        if self._partitions:
            self._consumer.pause([TopicPartition(*key) for key in sorted(self._partitions)])
        while self._is_landing():
            if deadline.left_s <= self._limits.drain_deadline_s * LEAVING_SHARE:
                raise WorkAbandonedError(self._abandoned())
            self._watchdog.beat()
            self._flights.hand_out(self._partitions)
            self.rebalance.collect()
            # What still comes is thrown away: whoever owns the partition next reads it again.
            self._consumer.consume(READ_MESSAGES, DRAIN_POLL_S)
        self._commits.send(self._commit, self._partitions)

    def _is_landing(self) -> bool:
        return self._flights.orphans > 0 or any(one.ready or one.flying for one in self._partitions.values())

    def _abandoned(self) -> str:
        flying = [str(flight.batch.run) for one in self._partitions.values() for flight in one.flying]
        left = flying + [str(batch.run) for one in self._partitions.values() for batch in one.ready]
        count = len(left) + self._flights.orphans
        return (
            f"stopped after METERHOUSE_DRAIN_DEADLINE_S={self._limits.drain_deadline_s:g} with {count} runs left"
            f"{f', the first {left[0]}' if left else ''}; nothing is lost: the next start takes them up."
        )


# Errors of the group or of rights, after which reading on makes no sense.
_STOPS = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.INCONSISTENT_GROUP_PROTOCOL,
        KafkaError._AUTHENTICATION,  # noqa: SLF001  # the client's public constant
    }
)


def _key(message: Message) -> Key:
    topic, number = message.topic(), message.partition()
    return topic or "", -1 if number is None else number


def _headers(message: Message) -> Headers | None:
    headers = message.headers()
    return list(headers.items()) if isinstance(headers, dict) else headers


def _messages(received: list[Message], has_headers: bool) -> Messages:
    return Messages(
        [one.offset() for one in received],  # type: ignore[misc]  # set on every message
        [one.value() for one in received],
        [one.key() for one in received],
        [one.timestamp()[1] for one in received],
        [_headers(one) for one in received] if has_headers else [],
    )
