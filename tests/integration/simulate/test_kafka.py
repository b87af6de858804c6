"""A simulation into a real broker: all of it, once, a workspace's messages in one partition and in order."""

import time
from collections import defaultdict
from collections.abc import Iterator

import pytest
from confluent_kafka import TopicPartition
from rich.console import Console

from ingest.kafka import KafkaAdmin, consumer_config, open_consumer
from ingest.settings import Settings, load_settings
from ingest.simulate import Simulation, SimulationConfig
from ingest.simulate.kafka_sink import KafkaSink
from ingest.simulate.play import play
from tests.conftest import Broker
from tests.unit.simulate.reading import END_MS

CONFIG = SimulationConfig(end_ms=END_MS, events=5_000, duplicate_rate=0.02, malformed_rate=0.02)


@pytest.fixture
def on_broker(any_broker: Broker, prefix: str) -> Iterator[Settings]:
    """Settings that need no engine, on either broker, with topics of the test's own."""
    made = load_settings(kafka_bootstrap=any_broker.bootstrap, topic_prefix=prefix)
    yield made
    with KafkaAdmin(made.bootstrap, {}) as admin:
        admin.delete_topics([made.topic("agent_events")])


def read_all(settings: Settings, topic: str) -> dict[int, list[tuple[bytes, bytes]]]:
    with KafkaAdmin(settings.bootstrap, {}) as admin:
        ends = {partition: marks.high for (_, partition), marks in admin.watermarks([topic]).items()}
    config = consumer_config(settings.bootstrap, {}, group="unused", embedded=settings.is_kafka_embedded)
    consumer = open_consumer(config)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
    read: dict[int, list[tuple[bytes, bytes]]] = defaultdict(list)
    deadline = time.monotonic() + 30
    while sum(map(len, read.values())) < sum(ends.values()):
        assert time.monotonic() < deadline, f"read {sum(map(len, read.values()))} of {sum(ends.values())} messages"
        for message in consumer.consume(2_000, timeout=0.2):
            key, value = message.key(), message.value()
            assert isinstance(key, bytes)
            assert isinstance(value, bytes)
            read[message.partition() or 0].append((key, value))
    consumer.close()
    return read


def test_the_topic_holds_the_simulation_once_and_each_workspace_in_order(
    on_broker: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.simulate.play.load_settings", lambda: on_broker)
    truth = play(CONFIG, console=Console(quiet=True))
    read = read_all(on_broker, on_broker.topic("agent_events"))
    assert sum(map(len, read.values())) == truth.messages
    expected: dict[bytes, list[bytes]] = defaultdict(list)
    for chunk in Simulation(CONFIG).chunks():
        for key, value in zip(chunk.keys, chunk.values, strict=True):
            expected[key].append(value)
    found: dict[bytes, list[bytes]] = defaultdict(list)
    for messages in read.values():
        assert len(messages) < truth.messages
        for key, value in messages:
            found[key].append(value)
    assert found == expected


def test_the_sink_counts_what_the_broker_acknowledged(on_broker: Settings) -> None:
    with KafkaSink(on_broker, on_broker.topic("agent_events")) as sink:
        for chunk in Simulation(CONFIG).chunks():
            sink.write(chunk)
    assert sink.acknowledged == sum(len(chunk) for chunk in Simulation(CONFIG).chunks())
