"""Producing, reading and group members for tests, with deadlines that fail with what was seen."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from ingest.kafka import KafkaAdmin, consumer_config, open_consumer, open_producer, producer_config

WITHIN_S = 30.0


@dataclass(frozen=True)
class Sent:
    """A message as it is given to the producer."""

    value: bytes
    partition: int = 0
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp_ms: int = 0


def produce(bootstrap: str, topic: str, messages: Iterable[Sent]) -> list[tuple[int, int]]:
    """Sends all and waits for the acknowledgements; (partition, offset) of each, in the order sent."""
    acknowledged: dict[int, tuple[int, int]] = {}
    failed: list[str] = []
    producer: Producer = open_producer(producer_config(bootstrap, {}))
    count = 0
    for number, one in enumerate(messages):

        def report(error: object, message: Message, number: int = number) -> None:
            if error is not None:
                failed.append(str(error))
            else:
                acknowledged[number] = (message.partition() or 0, message.offset() or 0)

        producer.produce(
            topic,
            value=one.value,
            key=one.key,
            partition=one.partition,
            headers=list(one.headers),
            timestamp=one.timestamp_ms,
            on_delivery=report,
        )
        count = number + 1
    left = producer.flush(WITHIN_S)
    assert not failed, failed[:3]
    assert left == 0, f"{left} messages unacknowledged after {WITHIN_S} s"
    return [acknowledged[number] for number in range(count)]


def read(bootstrap: str, topic: str, partition: int, count: int, start: int = 0) -> list[Message]:
    """`count` messages of one partition from offset `start`, without a group."""
    consumer = open_consumer(consumer_config(bootstrap, {}, group="tests-read"))
    consumer.assign([TopicPartition(topic, partition, start)])
    found: list[Message] = []

    def poll() -> bool:
        message = consumer.poll(0.2)
        if message is not None:
            assert message.error() is None, message.error()
            found.append(message)
        return len(found) >= count

    try:
        until(poll, f"{count} messages of {topic}[{partition}]", lambda: f"{len(found)} came")
    finally:
        consumer.close()
    return found


def all_of(bootstrap: str, topic: str) -> list[Message]:
    """All that a topic holds, partition by partition."""
    with KafkaAdmin(bootstrap, {}) as admin:
        marks = admin.watermarks([topic])
    found: list[Message] = []
    for (_, partition), mark in sorted(marks.items()):
        if mark.high > mark.low:
            found += read(bootstrap, topic, partition, mark.high - mark.low, mark.low)
    return found


def until(is_done: Callable[[], bool], wanted: str, seen: Callable[[], object] = lambda: "") -> None:
    """Repeats `is_done` (which waits a little itself) until it is true; fails with what was seen."""
    deadline = time.monotonic() + WITHIN_S
    while not is_done():
        assert time.monotonic() < deadline, f"wanted {wanted} within {WITHIN_S} s; {seen()}"


class Member:
    """A group member that remembers what it was assigned and what it read."""

    def __init__(self, bootstrap: str, group: str, topics: Sequence[str], *, embedded: bool, assignor: str) -> None:
        config = consumer_config(bootstrap, {}, group=group, assignor=assignor, embedded=embedded)
        # Six seconds is also the least Apache Kafka allows by default: a killed member is noticed soon.
        config |= {"session.timeout.ms": "6000", "heartbeat.interval.ms": "1000"}
        self.consumer: Consumer = open_consumer(config)
        self.assigned: set[tuple[str, int]] = set()
        self.read: list[Message] = []
        self.assignments = 0
        self.consumer.subscribe(list(topics), on_assign=self._assign, on_revoke=self._revoke)

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        committed = consumer.committed(partitions, timeout=10)
        for one in committed:
            one.offset = max(one.offset, 0)
        consumer.assign(committed)
        self.assigned = {(one.topic, one.partition) for one in partitions}
        self.assignments += 1

    def _revoke(self, consumer: Consumer, _: list[TopicPartition]) -> None:
        consumer.unassign()
        self.assigned = set()

    def poll(self, timeout_s: float = 0.1) -> None:
        message = self.consumer.poll(timeout_s)
        if message is not None:
            assert message.error() is None, message.error()
            self.read.append(message)

    def is_assigned(self) -> bool:
        """Polls once; whether it owns anything."""
        self.poll()
        return bool(self.assigned)

    def has_read(self, count: int) -> bool:
        """Polls once; whether that many messages are in."""
        self.poll()
        return len(self.read) >= count

    def commit(self, topic: str, partition: int, next_offset: int) -> None:
        self.consumer.commit(offsets=[TopicPartition(topic, partition, next_offset)], asynchronous=False)

    def close(self) -> None:
        self.consumer.close()
