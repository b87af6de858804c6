"""Lands what a topic holds, by the loader's own protocol but without its consumer group, whose join takes seconds.

Claims, dead letters, rows, done: as `ingest.loader.lander` does them; a report of progress at the end. One batch a
partition and call.
"""

import threading
import time

from clickhouse_connect.driver.client import Client
from confluent_kafka import KafkaError, TopicPartition

from ingest.kafka import KafkaAdmin, consumer_config, open_consumer, open_producer, producer_config
from ingest.loader.clock import SYSTEM_CLOCK
from ingest.loader.dead_letters import DeadLetters
from ingest.loader.lander import Lander
from ingest.loader.ledger import Ledger, Progress
from ingest.loader.metrics import Metrics
from ingest.loader.rejects import RejectGuard
from ingest.loader.retry import Retrier, RetryPolicy
from ingest.loader.run import Batch, Landed, Messages, Run, Source
from ingest.loader.streams import all_streams
from ingest.settings import Settings
from ingest.warehouse_errors import kind_of


def land_topics(settings: Settings, client: Client) -> None:
    """Everything between what the ledger knows and the high watermarks, of every topic and partition."""
    metrics, ledger = Metrics(), Ledger(client, settings.database("ops"), f"test-{time.monotonic_ns()}")
    retrier = Retrier(RetryPolicy(deadline_s=10.0), classify=kind_of, stop=threading.Event(), on_retry=lambda *_: None)
    producer = open_producer(producer_config(settings.bootstrap, settings.kafka_options))
    lander = Lander(
        client,
        ledger,
        DeadLetters(client, f"{settings.database('raw')}.dead_letters", producer, metrics),
        RejectGuard(1.0, 10_000_000),
        retrier,
        metrics,
        SYSTEM_CLOCK,
    )
    streams = {stream.topic: stream for stream in all_streams(settings)}
    with KafkaAdmin(settings.bootstrap, settings.kafka_options) as admin:
        described, marks = admin.describe(streams), admin.watermarks(streams)
    asked_at_ms = SYSTEM_CLOCK.now_ms()
    reports = []
    for (topic, partition), mark in marks.items():
        source = Source(topic, str(described[topic].topic_id), partition)
        first = max(ledger.take_up(source).next_offset or 0, mark.low)
        if mark.high > first:
            messages = _read(settings, source, first, mark.high)
            batch = Batch(Run(source, first, mark.high - 1), messages, messages.size, 0.0)
            outcome = lander.land(streams[topic], batch, threading.Event())
            assert isinstance(outcome, Landed), outcome
        reports.append(
            Progress(
                source, mark.high, mark.low, mark.high, asked_at_ms, None, None, None, len(described[topic].partitions)
            )
        )
    ledger.report(reports, f"progress:{time.monotonic_ns()}")


def _read(settings: Settings, source: Source, first: int, end: int) -> Messages:
    config = consumer_config(settings.bootstrap, settings.kafka_options, group="test-landing")
    consumer = open_consumer({**config, "enable.partition.eof": "true"})
    messages, deadline = Messages(), time.monotonic() + 20
    at = first
    try:
        consumer.assign([TopicPartition(source.topic, source.partition, first)])
        # The last offset may be the marker of a transaction, which is no message.
        while at < end:
            assert time.monotonic() < deadline, f"only {len(messages)} of {source} came"
            for one in consumer.consume(1_000, timeout=0.2):
                error = one.error()
                assert error is None or error.code() == KafkaError._PARTITION_EOF, error
                at = (one.offset() or 0) + (error is None)
                if error is None:
                    headers = one.headers()
                    messages.extend(
                        Messages(
                            [one.offset() or 0],
                            [one.value()],
                            [None],
                            [one.timestamp()[1]],
                            [headers if isinstance(headers, list) else None],
                        )
                    )
    finally:
        consumer.close()
    return messages
