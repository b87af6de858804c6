"""What the loader takes for granted of any broker's messages and offsets; runs on both brokers."""

from threading import Thread

import pytest
from confluent_kafka import TopicPartition

from ingest.kafka import KafkaAdmin, TopicSpec, Watermarks, consumer_config, lag, open_consumer
from tests.conftest import Broker
from tests.support.topics import Sent, produce, read, until


@pytest.fixture
def topic(any_broker: Broker, prefix: str) -> str:
    name = f"{prefix}events"
    with KafkaAdmin(any_broker.bootstrap, {}) as admin:
        admin.ensure_topics([TopicSpec(name, 3), TopicSpec(f"{name}.dlq", 1)])
    return name


def test_a_message_comes_back_with_key_headers_and_the_producers_time(any_broker: Broker, topic: str) -> None:
    sent = Sent(b'{"a":1}', 2, b"workspace-1", (("trace", b"\x00\xff"), ("trace", b"again")), 1_700_000_000_123)
    produce(any_broker.bootstrap, topic, [sent])
    [message] = read(any_broker.bootstrap, topic, 2, 1)
    assert message.value() == sent.value
    assert message.key() == sent.key
    assert tuple(message.headers() or ()) == sent.headers
    assert message.timestamp() == (1, sent.timestamp_ms)


def test_a_tombstone_and_an_empty_value_are_told_apart(any_broker: Broker, topic: str) -> None:
    produce(any_broker.bootstrap, topic, [Sent(b"")])
    [message] = read(any_broker.bootstrap, topic, 0, 1)
    assert message.value() == b""


def test_offsets_of_a_partition_are_contiguous_and_in_the_order_sent(any_broker: Broker, topic: str) -> None:
    sent = [Sent(b"%d" % number, number % 3) for number in range(3_000)]
    acknowledged = produce(any_broker.bootstrap, topic, sent)
    for partition in range(3):
        assert [offset for where, offset in acknowledged if where == partition] == list(range(1_000))
        values = [message.value() for message in read(any_broker.bootstrap, topic, partition, 1_000)]
        assert values == [one.value for one in sent if one.partition == partition]


def test_reading_from_the_middle_of_a_batch_starts_at_that_very_offset(any_broker: Broker, topic: str) -> None:
    produce(any_broker.bootstrap, topic, [Sent(b"%d" % number) for number in range(100)])
    messages = read(any_broker.bootstrap, topic, 0, 43, start=57)
    assert [message.offset() for message in messages] == list(range(57, 100))


def test_watermarks_count_every_message_also_of_a_batch_of_many(any_broker: Broker, topic: str) -> None:
    produce(any_broker.bootstrap, topic, [Sent(b"x", 1)] * 500)
    produce(any_broker.bootstrap, topic, [Sent(b"y", 2)])
    with KafkaAdmin(any_broker.bootstrap, {}) as admin:
        found = admin.watermarks([topic, f"{topic}.dlq", "no-such-topic"])
    assert found == {
        (topic, 0): Watermarks(0, 0),
        (topic, 1): Watermarks(0, 500),
        (topic, 2): Watermarks(0, 1),
        (f"{topic}.dlq", 0): Watermarks(0, 0),
    }


def test_the_consumers_own_watermark_reaches_what_it_has_read_so_lag_ends_at_zero(
    any_broker: Broker, topic: str
) -> None:
    produce(any_broker.bootstrap, topic, [Sent(b"x")] * 250)
    consumer = open_consumer(consumer_config(any_broker.bootstrap, {}, group="lag"))
    consumer.assign([TopicPartition(topic, 0, 0)])
    seen: list[int] = []

    def is_read() -> bool:
        message = consumer.poll(0.2)
        if message is not None:
            high = consumer.get_watermark_offsets(TopicPartition(topic, 0), cached=True)[1]
            seen.append(lag((message.offset() or 0) + 1, high))
        return len(seen) == 250

    until(is_read, "250 messages", lambda: len(seen))
    consumer.close()
    assert min(seen) == 0
    assert seen[-1] == 0


def test_an_offset_that_the_topic_never_had_is_an_error_and_not_a_skip(any_broker: Broker, topic: str) -> None:
    produce(any_broker.bootstrap, topic, [Sent(b"x")] * 3)
    consumer = open_consumer(consumer_config(any_broker.bootstrap, {}, group="gap"))
    consumer.assign([TopicPartition(topic, 0, 1_000)])
    errors: list[str] = []

    def has_complained() -> bool:
        message = consumer.poll(0.2)
        if message is not None:
            error = message.error()
            assert error is not None, "a message of another offset came"
            errors.append(error.name())
        return bool(errors)

    if any_broker.is_embedded:
        consumer.close()
        pytest.skip("the embedded broker answers an offset beyond its end with nothing, as if it were yet to come")
    until(has_complained, "an error about the offset")
    consumer.close()
    assert errors == ["_AUTO_OFFSET_RESET"]


def test_a_megabyte_message_is_taken(any_broker: Broker, topic: str) -> None:
    value = bytes(range(256)) * 3_900  # just under Kafka's own limit of 1 MiB with overhead
    produce(any_broker.bootstrap, topic, [Sent(value)])
    assert read(any_broker.bootstrap, topic, 0, 1)[0].value() == value


def test_a_reader_misses_no_message_while_several_producers_write_to_one_partition(
    any_broker: Broker, topic: str
) -> None:
    senders = [
        Thread(target=lambda: [produce(any_broker.bootstrap, topic, [Sent(b"x")] * 20) for _ in range(10)])
        for _ in range(4)
    ]
    consumer = open_consumer(consumer_config(any_broker.bootstrap, {}, group="several"))
    consumer.assign([TopicPartition(topic, 0, 0)])
    offsets: list[int] = []

    def is_read() -> bool:
        offsets.extend(message.offset() or 0 for message in consumer.consume(1_000, 0.1))
        return not any(one.is_alive() for one in senders) and len(offsets) >= 800

    for one in senders:
        one.start()
    until(is_read, "800 messages", lambda: len(offsets))
    consumer.close()
    assert offsets == list(range(800))
    with KafkaAdmin(any_broker.bootstrap, {}) as admin:
        assert admin.watermarks([topic])[topic, 0] == Watermarks(0, 800)
