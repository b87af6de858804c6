"""How a reader learns that it has everything: by the end-of-partition event, whose offset is past all that is there.

After a transaction the last offset is a marker that no message carries; a reader that waits for the message before the
high watermark would wait for ever.
"""

from confluent_kafka import Consumer, KafkaError, TopicPartition

from ingest.kafka import KafkaAdmin, TopicSpec, consumer_config, open_consumer, open_producer, producer_config
from tests.conftest import Broker
from tests.support.topics import Sent, produce, until


def _read_to_end(bootstrap: str, topic: str, partition: int) -> tuple[list[bytes], int]:
    """All values and the offset of the end-of-partition event."""
    config = consumer_config(bootstrap, {}, group="end") | {"enable.partition.eof": "true"}
    consumer: Consumer = open_consumer(config)
    consumer.assign([TopicPartition(topic, partition, 0)])
    values: list[bytes] = []
    ends: list[int] = []

    def is_at_end() -> bool:
        message = consumer.poll(0.2)
        if message is not None:
            error = message.error()
            if error is None:
                values.append(message.value() or b"")
            else:
                assert error.code() == KafkaError._PARTITION_EOF, error
                ends.append(message.offset() or 0)
        return bool(ends)

    until(is_at_end, "the end of the partition", lambda: values)
    consumer.close()
    return values, ends[0]


def test_the_end_event_comes_after_the_last_message_with_the_high_watermark(any_broker: Broker, prefix: str) -> None:
    topic = f"{prefix}end"
    with KafkaAdmin(any_broker.bootstrap, {}) as admin:
        admin.ensure_topics([TopicSpec(topic, 2)])
        produce(any_broker.bootstrap, topic, [Sent(b"%d" % number) for number in range(100)])
        high = admin.watermarks([topic])[topic, 0].high
    assert _read_to_end(any_broker.bootstrap, topic, 0) == ([b"%d" % number for number in range(100)], high)
    assert _read_to_end(any_broker.bootstrap, topic, 1) == ([], 0)


def test_the_end_event_reaches_the_high_watermark_past_the_markers_of_transactions(
    any_broker: Broker, prefix: str
) -> None:
    topic = f"{prefix}transactions"
    with KafkaAdmin(any_broker.bootstrap, {}) as admin:
        admin.ensure_topics([TopicSpec(topic, 1)])
        producer = open_producer(producer_config(any_broker.bootstrap, {}) | {"transactional.id": f"{prefix}t"})
        producer.init_transactions(20)
        for value, is_kept in ((b"kept", True), (b"aborted", False), (b"kept too", True)):
            producer.begin_transaction()
            producer.produce(topic, value, partition=0)
            (producer.commit_transaction if is_kept else producer.abort_transaction)(20)
        high = admin.watermarks([topic])[topic, 0].high
    values, end = _read_to_end(any_broker.bootstrap, topic, 0)
    assert values == [b"kept", b"kept too"]
    assert end == high
    assert high > len(values)
