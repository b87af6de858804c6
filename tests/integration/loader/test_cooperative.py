"""Loaders of a cooperative group on Apache Kafka: partitions move one by one while the others are read on."""

import threading
import time
from collections.abc import Iterator

import pytest
from clickhouse_connect.driver.client import Client

from ingest.kafka import KafkaAdmin, TopicSpec
from ingest.loader.service import LoadReport, run_loader
from ingest.settings import Settings
from tests.conftest import remove_topics
from tests.integration.loader.test_load import count, house, landed_ids, send
from tests.support.apache_kafka import ApacheKafka

__all__ = ["house"]


@pytest.fixture
def cooperative(house: Settings, apache_kafka: ApacheKafka) -> Iterator[Settings]:
    made = house.model_copy(
        update={
            "kafka_bootstrap": apache_kafka.bootstrap,
            "bootstrap": apache_kafka.bootstrap,
            "partition_assignor": "cooperative-sticky",
        }
    )
    with KafkaAdmin(made.bootstrap, made.kafka_options) as admin:
        admin.ensure_topics(TopicSpec(made.topic(name), 3) for name in made.agent_event_topics)
    yield made
    remove_topics(made)


def test_members_come_and_go_and_everything_lands_once(cooperative: Settings, warehouse: Client) -> None:
    table = f"{cooperative.database('raw')}.agent_events"
    reports: list[LoadReport] = []
    stops = [threading.Event() for _ in range(3)]
    threads = [
        threading.Thread(target=lambda stop=stop: reports.append(run_loader(cooperative, stopping=stop)))
        for stop in stops
    ]

    def send_and_wait() -> None:
        ids.extend(send(cooperative, 600, topics=cooperative.agent_event_topics).ids)
        deadline = time.monotonic() + 60
        while count(warehouse, f"select count() from {table}") < len(ids):
            assert time.monotonic() < deadline, "expected everything sent to land within 60 s"
            time.sleep(0.1)

    ids: list[str] = []
    try:
        for thread in threads:  # one, two, three members
            thread.start()
            send_and_wait()
        for stop, thread in zip(stops[:2], threads, strict=False):  # and back to one
            stop.set()
            thread.join(60)
            assert not thread.is_alive()
            send_and_wait()
    finally:
        for stop in stops:
            stop.set()
        for thread in threads:
            thread.join(60)
    assert len(reports) == 3
    assert landed_ids(cooperative, warehouse) == sorted(ids)
    assert sum(report.landed for report in reports) == len(ids)
