"""Which partitions this process has, and how it comes by them and lets go of them.

In: the client's rebalance callbacks, and the ledger's word on where each partition goes on. Out: `partitions`, taken up
and being read. Everything runs in the loop's thread, the callbacks inside consume(), but the take-up: that asks Kafka
and ClickHouse from a thread of its own, so that neither can hold up the group or a stop.
"""

import contextlib
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Final, Protocol

import structlog
from confluent_kafka import KafkaException, Message, TopicPartition

from ingest.loader.clock import Clock, Deadline
from ingest.loader.commits import Commits
from ingest.loader.flights import Flights
from ingest.loader.intake import BatchLimits, Intake
from ingest.loader.partition import Key, Partition
from ingest.loader.run import Stream
from ingest.loader.takeup import Taken, TakeUp

# How long a revocation waits for runs in the air; a group waits for nobody longer than max.poll.interval.ms.
_REVOKE_WAIT_S: Final = 5.0
_LOOK_EVERY_S: Final = 0.02
# What is read after the last run was cut is read again by the next owner.
_DISCARD: Final = 10_000

log = structlog.get_logger()


class ConsumerLike(Protocol):
    """What the loader uses of confluent_kafka.Consumer; `commit` comes apart, since its overloads fit no protocol."""

    def consume(self, num_messages: int = ..., timeout: float = ...) -> list[Message]: ...
    def assign(self, partitions: list[TopicPartition]) -> None: ...
    def incremental_assign(self, partitions: list[TopicPartition]) -> None: ...
    def incremental_unassign(self, partitions: list[TopicPartition]) -> None: ...
    def seek(self, partition: TopicPartition) -> None: ...
    def pause(self, partitions: list[TopicPartition]) -> None: ...
    def resume(self, partitions: list[TopicPartition]) -> None: ...
    def unsubscribe(self) -> None: ...


@dataclass(eq=False, slots=True)
class Awaiting:
    """Assigned and not taken up. `is_read`: the consumer reads it already, so a seek is enough."""

    is_read: bool


class Rebalance:
    """One per consumer. `partitions` are taken up; `mend` is called where the group gives nothing for `patience_s`."""

    def __init__(
        self,
        consumer: ConsumerLike,
        streams: Iterable[Stream],
        take_up: TakeUp,
        asking: Executor,
        batch: BatchLimits,
        flights: Flights,
        commits: Commits,
        clock: Clock,
        *,
        commit: Callable[[list[TopicPartition]], object],
        beat: Callable[[], None],
        mend: Callable[[], None],
        patience_s: float,
        is_cooperative: bool,
    ) -> None:
        self._consumer = consumer
        self._streams = {stream.topic: stream for stream in streams}
        self.topics_with_headers = {topic for topic, stream in self._streams.items() if stream.has_headers}
        self._take_up = take_up
        self._asking = asking
        self._batch = batch
        self._flights = flights
        self._commits = commits
        self._clock = clock
        self._commit = commit
        self._beat = beat
        self._mend = mend
        self._patience_s = patience_s
        self._mend_at_s = clock.monotonic() + patience_s
        self._is_cooperative = is_cooperative
        self._awaiting: dict[Key, Awaiting] = {}
        self._asked: tuple[dict[Key, Awaiting], Future[list[Taken] | None]] | None = None
        self._is_member = False  # the group has given us an assignment, be it empty, and not taken it back
        self._is_leaving = False
        self.partitions: dict[Key, Partition] = {}

    @property
    def is_settled(self) -> bool:
        """Whether the group has said what is ours and all of it is taken up."""
        return self._is_member and not self._awaiting

    @property
    def is_member(self) -> bool:
        """Whether the group has said what is ours."""
        return self._is_member

    @property
    def assigned(self) -> int:
        """How many partitions the group gave us, taken up or not."""
        return len(self.partitions) + len(self._awaiting)

    # Called by the client, inside consume().

    def on_assign(self, _: object, partitions: list[TopicPartition]) -> None:
        """Takes note; the ledger is asked outside the callback, so that a slow ClickHouse cannot block the group."""
        self._is_member = True
        self._assign([])  # says to the client: assigned by hand, not from committed offsets
        self._awaiting.update({(one.topic, one.partition): Awaiting(is_read=False) for one in partitions})
        log.info("assigned", partitions=len(partitions))

    def on_revoke(self, _: object, partitions: list[TopicPartition]) -> None:
        """Claimed runs are finished or left to the next owner; what is not claimed is dropped."""
        keys = [(one.topic, one.partition) for one in partitions]
        mine = {key: self.partitions[key] for key in keys if key in self.partitions}
        wait = Deadline(self._clock, 0.0 if self._is_leaving else _REVOKE_WAIT_S)
        while any(one.flying for one in mine.values()) and not wait.is_over:
            self._clock.wait(threading.Event(), _LOOK_EVERY_S)
            self._beat()
            self.collect()
            mine = {key: one for key, one in mine.items() if self.partitions.get(key) is one}
        self._commits.send(self._commit, mine)
        self._forget(keys)
        self._is_member = self._is_cooperative and self.assigned > 0

    def on_lost(self, _: object, partitions: list[TopicPartition]) -> None:
        """They are somebody else's already: nothing is committed."""
        self._forget([(one.topic, one.partition) for one in partitions])
        self._is_member = False
        log.info("partitions_lost", partitions=len(partitions))

    # Called by the loop.

    def collect(self) -> None:
        """Counts in what has landed; takes up again what was fenced."""
        for key in self._flights.collect(self.partitions):
            self.again(key)

    def again(self, key: Key) -> None:
        """Forgets a partition's buffer and takes it up anew from the ledger; it stays assigned."""
        self._forget([key])
        self._awaiting[key] = Awaiting(is_read=True)

    def resolve(self) -> None:
        """Asks where the awaiting partitions go on, and starts reading there once the answer has come."""
        if self._asked is None:
            if not self._awaiting:
                self._look_after_group()
                return
            self._asked = dict(self._awaiting), self._asking.submit(self._take_up.try_all, list(self._awaiting))
        asked, answer = self._asked
        if not answer.done():
            return
        self._asked = None
        # What was taken from us and given back meanwhile may have moved on: ask anew.
        taken = [one for one in answer.result() or () if self._awaiting.get(one.key) is asked[one.key]]
        if taken:
            self._start(taken)

    def _look_after_group(self) -> None:
        now_s = self._clock.monotonic()
        if self._is_member:
            self._mend_at_s = now_s + self._patience_s
        elif now_s >= self._mend_at_s:
            self._mend_at_s = now_s + self._patience_s
            self._asking.submit(self._mend)

    def leave(self, deadline: Deadline) -> None:
        """Gives everything back and leaves the group. After it a close has no callback left to call.

        A callback inside close() can be outrun by the end of the group below it, and then never returns.
        """
        self._is_leaving = True
        try:
            self._consumer.unsubscribe()
            while (self.assigned if self._is_cooperative else self._is_member) and not deadline.is_over:
                self._beat()
                self._consumer.consume(_DISCARD, _LOOK_EVERY_S)
            self._consumer.consume(_DISCARD, _LOOK_EVERY_S)
        except KafkaException as error:  # a client that is beyond use must not hide why the loader ends
            log.warning("leave_failed", words=error.args[0].str())

    def _start(self, taken: list[Taken]) -> None:
        fresh = [one for one in taken if not self._awaiting[one.key].is_read]
        if fresh and not self._is_cooperative:
            # An eager assignment replaces the whole: whoever is read already goes on where it is.
            fresh = taken
            going_on = [TopicPartition(*key, one.read_to) for key, one in self.partitions.items()]
        else:
            going_on = []
        if fresh:
            self._assign([*map(_place, fresh), *going_on])
        started = [one for one in taken if one in fresh or self._seek(one)]
        for each in started:
            del self._awaiting[each.key]
            self._open(each)
        if started:
            # Paused before it was taken up again, perhaps.
            self._consumer.resume([_place(one) for one in started])
        log.info("partitions_assigned", taken_up=len(started), owned=len(self.partitions))

    def _seek(self, taken: Taken) -> bool:
        try:
            self._consumer.seek(_place(taken))
        except KafkaException as error:  # the client does not read it at the moment: next time it is assigned anew
            log.info("seek_failed", source=str(taken.source), words=error.args[0].str())
            if self._is_cooperative:
                with contextlib.suppress(KafkaException):
                    self._consumer.incremental_unassign([_place(taken)])
            self._awaiting[taken.key].is_read = False
            return False
        return True

    def _open(self, taken: Taken) -> None:
        intake = Intake(taken.source, taken.position, taken.redo, self._batch)
        stream = self._streams[taken.key[0]]
        partition = Partition(stream, taken.source, intake, next_offset=intake.position, read_to=taken.start)
        self.partitions[taken.key] = partition
        if taken.start > intake.position:
            intake.lose(taken.start - intake.position)
            partition.ready.extend(intake.reach(taken.start, self._clock.monotonic()))
        log.info("took_up", source=str(taken.source), position=intake.position, redo=len(taken.redo))

    def _assign(self, partitions: list[TopicPartition]) -> None:
        if self._is_cooperative:
            self._consumer.incremental_assign(partitions)
        else:
            self._consumer.assign(partitions)

    def _forget(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._awaiting.pop(key, None)
            if partition := self.partitions.pop(key, None):
                self._flights.orphan(partition.flying)
        self._commits.forget(keys)


def _place(taken: Taken) -> TopicPartition:
    return TopicPartition(taken.key[0], taken.key[1], taken.start)
