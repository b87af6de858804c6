"""A Kafka of lists, and a consumer of it whose rebalances happen when a test says so.

A test makes partitions, appends payloads, and queues events; the consumer delivers them inside `consume`, in order, as
librdkafka does. It is strict where the client is: a seek or a pause of what is not assigned raises, and closing while
the group still waits for a callback is the hang of docs/chaos.md.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from ingest.loader.partition import Key

Callback = Callable[[object, list[TopicPartition]], None]


@dataclass(frozen=True, slots=True)
class FakeMessage:
    """What the loader asks of a confluent_kafka.Message."""

    key_: Key
    offset_: int
    value_: bytes | None = None
    error_: KafkaError | None = None

    def topic(self) -> str:
        return self.key_[0]

    def partition(self) -> int:
        return self.key_[1]

    def offset(self) -> int:
        return self.offset_

    def value(self) -> bytes | None:
        return self.value_

    def key(self) -> bytes | None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_764_000_000_000 + self.offset_

    def error(self) -> KafkaError | None:
        return self.error_


@dataclass
class FakeBroker:
    """Topics of three partitions. `low` is where retention has come to."""

    topics: tuple[str, ...] = ("events", "events_eu")
    partitions: int = 3
    logs: dict[Key, list[bytes]] = field(default_factory=dict)
    low: dict[Key, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.logs = {(topic, number): [] for topic in self.topics for number in range(self.partitions)}

    def send(self, key: Key, count: int, size: int = 1) -> None:
        self.logs[key] += [b"x" * size] * count

    def send_everywhere(self, count: int) -> None:
        for key in self.logs:
            self.send(key, count)


class FakeConsumer:
    """A member of the group as the loader sees it. `committed` is what it told the broker, and when it was asked."""

    def __init__(self, broker: FakeBroker, *, is_cooperative: bool = False) -> None:
        self.broker = broker
        self.is_cooperative = is_cooperative
        self.committed: list[dict[Key, int]] = []
        self.commit_error: KafkaError | None = None
        self.paused: set[Key] = set()
        self.positions: dict[Key, int] = {}
        self.polls = 0
        self.on_poll: Callable[[], object] = lambda: None
        self.at_most = 10_000
        self.seek_fails = False
        self._callbacks: tuple[Callback, Callback, Callback] | None = None
        self._events: deque[Callable[[], None]] = deque()
        self._errors: deque[FakeMessage] = deque()
        self._given: set[Key] = set()
        self._is_member = False

    # What a test does.

    def subscribe(self, on_assign: Callback, on_revoke: Callback, on_lost: Callback) -> None:
        self._callbacks = on_assign, on_revoke, on_lost

    def give(self, *keys: Key) -> None:
        """The group gives these; an eager one has taken everything back before."""
        if not self.is_cooperative and self._is_member:
            self.take(*self._given)
        self._events.append(lambda: self._assigned(keys))

    def take(self, *keys: Key) -> None:
        self._events.append(lambda: self._revoked(keys, is_lost=False))

    def lose(self, *keys: Key) -> None:
        self._events.append(lambda: self._revoked(keys, is_lost=True))

    def fail(self, key: Key, code: int, offset: int = 0) -> None:
        """The client reports an error of a partition at the next poll."""
        self._errors.append(FakeMessage(key, offset, error_=KafkaError(code)))

    def go_back(self, key: Key, offset: int) -> None:
        self.positions[key] = offset

    def close(self) -> None:
        assert not self._is_member, "closed while a callback was outstanding: librdkafka hangs here"

    # What the loader does.

    def consume(self, num_messages: int = 1, _timeout: float = -1) -> list[FakeMessage]:
        self.polls += 1
        self.on_poll()
        while self._events:
            self._events.popleft()()
        read: list[FakeMessage] = []
        while self._errors:
            read.append(self._errors.popleft())
        for key, position in sorted(self.positions.items()):
            if key in self.paused:
                continue
            if position < self.broker.low.get(key, 0):
                read.append(FakeMessage(key, position, error_=KafkaError(KafkaError._AUTO_OFFSET_RESET)))
                continue
            part = self.broker.logs[key][position : position + min(self.at_most, num_messages)]
            read += [FakeMessage(key, position + at, value) for at, value in enumerate(part)]
            self.positions[key] = position + len(part)
        return read

    def assign(self, partitions: list[TopicPartition]) -> None:
        assert not self.is_cooperative, "an eager call in a cooperative group"
        self.positions = {(one.topic, one.partition): one.offset for one in partitions}

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        assert self.is_cooperative, "a cooperative call in an eager group"
        new = {(one.topic, one.partition): one.offset for one in partitions}
        if new.keys() & self.positions.keys():
            raise KafkaException(KafkaError(KafkaError._CONFLICT))
        self.positions |= new

    def incremental_unassign(self, partitions: list[TopicPartition]) -> None:
        for one in partitions:
            self.positions.pop((one.topic, one.partition), None)

    def seek(self, partition: TopicPartition) -> None:
        key = (partition.topic, partition.partition)
        if key not in self.positions or self.seek_fails:
            raise KafkaException(KafkaError(KafkaError._STATE))
        self.positions[key] = partition.offset

    def pause(self, partitions: list[TopicPartition]) -> None:
        self.paused |= {(one.topic, one.partition) for one in partitions}

    def resume(self, partitions: list[TopicPartition]) -> None:
        self.paused -= {(one.topic, one.partition) for one in partitions}

    def unsubscribe(self) -> None:
        if self._is_member and (self._given or not self.is_cooperative):
            self.take(*self._given)

    def commit(self, offsets: list[TopicPartition]) -> None:
        if self.commit_error is not None:
            raise KafkaException(self.commit_error)
        self.committed.append({(one.topic, one.partition): one.offset for one in offsets})

    def _assigned(self, keys: tuple[Key, ...]) -> None:
        self._is_member = True
        self._given |= set(keys)
        assert self._callbacks is not None
        self._callbacks[0](self, [TopicPartition(*key) for key in keys])

    def _revoked(self, keys: tuple[Key, ...], *, is_lost: bool) -> None:
        assert self._callbacks is not None
        self._callbacks[2 if is_lost else 1](self, [TopicPartition(*key) for key in keys])
        # What confluent_kafka does where the callback does not.
        for key in keys if self.is_cooperative else list(self.positions):
            self.positions.pop(key, None)
        self._given -= set(keys)
        self._is_member = self.is_cooperative
