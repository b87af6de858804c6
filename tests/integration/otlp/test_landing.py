"""OTLP through a real broker and a real engine: every record lands once, whatever is sent twice, broken or somebody's.

One module, one loaded house: three signals in protobuf and in JSON, from a door (headers) and from a Collector (none).
"""

import json
import random
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from confluent_kafka import Consumer

from ingest.kafka import KafkaAdmin, TopicSpec, open_producer, producer_config
from ingest.loader.ledger import Ledger
from ingest.loader.run import Batch, Headers
from ingest.loader.service import LoadReport, run_loader
from ingest.schema.engines import Layout
from ingest.schema.migrate import migrate
from ingest.settings import Settings
from tests.support.otlp_requests import RESOURCE, logs, metrics, traces

TOPICS = ("otlp_traces", "otlp_spans", "otlp_logs", "otlp_metrics")
METRICS = ("gauge", "sum", "histogram", "exponential_histogram", "summary")


@pytest.fixture
def house(settings: Settings, warehouse: Client) -> Settings:
    """The tables and the topics, a Collector's own name for traces among them."""
    migrate(warehouse, Layout(settings.database_prefix, "", settings.retention_days), say=lambda _: None)
    made = settings.model_copy(
        update={"otlp_traces_topics": ("otlp_traces", "otlp_spans"), "batch_age_s": 0.2, "max_reject_share": 1.0}
    )
    with KafkaAdmin(made.bootstrap, made.kafka_options) as admin:
        admin.ensure_topics(TopicSpec(made.topic(name), 3) for name in (*TOPICS, "agent_events"))
    return made


def send(settings: Settings, topic: str, *values: bytes, headers: Headers = ()) -> None:
    producer = open_producer(producer_config(settings.bootstrap, settings.kafka_options))
    for at, value in enumerate(values):
        producer.produce(settings.topic(topic), value, partition=at % 3, headers=list(headers))
    assert producer.flush(30) == 0


def drain(settings: Settings) -> LoadReport:
    return run_loader(settings.model_copy(update={"consumer_group": f"drain-{uuid.uuid4().hex}"}), drain=True)


def ask(settings: Settings, warehouse: Client, sql: str) -> list[tuple[object, ...]]:
    raw, ops = settings.database("raw"), settings.database("ops")
    return [tuple(row) for row in warehouse.query(sql.format(raw=raw, ops=ops)).result_rows]


def letters(settings: Settings, topic: str) -> list[bytes]:
    consumer = Consumer(
        {"bootstrap.servers": settings.bootstrap, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"}
    )
    return list(_read_all(consumer, settings, settings.topic(f"{topic}.dlq")))


def _read_all(consumer: Consumer, settings: Settings, topic: str) -> Iterator[bytes]:
    from confluent_kafka import TopicPartition

    with KafkaAdmin(settings.bootstrap, settings.kafka_options) as admin:
        reach = admin.watermarks([topic])
    consumer.assign([TopicPartition(name, number, 0) for name, number in reach])
    for _ in range(sum(marks.high for marks in reach.values())):
        message = consumer.poll(10.0)
        assert message is not None
        yield message.value() or b""
    consumer.close()


def test_every_record_lands_once_and_what_cannot_is_kept_without_content(house: Settings, warehouse: Client) -> None:
    now = time.time_ns()
    source = random.Random(7)  # ids of a test
    nameless = {name: value for name, value in RESOURCE.items() if name != "meterhouse.workspace_id"}
    door = [("meterhouse-workspace", b"bought"), ("meterhouse-environment", b"prod"), ("content-type", b"x")]
    good, retried = traces(100, now, source), traces(5, now, source)
    partly = traces(4, now, source)
    partly.resource_spans[0].scope_spans[0].spans[1].trace_id = b"short"
    partly.resource_spans[0].scope_spans[0].spans[1].status.message = "SECRET words"
    send(house, "otlp_traces", good.SerializeToString(), headers=door)
    send(house, "otlp_spans", retried.SerializeToString(), retried.SerializeToString(), partly.SerializeToString())
    send(house, "otlp_traces", b"\x0a\xffSECRET", traces(2, now, source, nameless).SerializeToString())
    event = json.dumps({"type": "run_started", "run_id": "r1", "prompt": "SECRET"})
    twice = logs([event, event, "SECRET sentence of jane@example.com"], now)
    send(house, "otlp_logs", twice.SerializeToString(), twice.SerializeToString())
    send(house, "otlp_metrics", metrics(now).SerializeToString(), metrics(now).SerializeToString())

    report = drain(house)

    assert (report.messages, report.rejected, report.lost) == (10, 3, 0)
    assert report.landed == 100 + 5 + 5 + 3 + 6 + 12
    assert ask(
        house,
        warehouse,
        "select workspace_id, _environment, count(), uniqExact(TraceId, SpanId), max(_index) from {raw}.otel_traces "
        "group by all order by all",
    ) == [("acme", "", 13, 8, 4), ("bought", "prod", 100, 100, 99)]
    spans = ask(house, warehouse, "select SpanAttributes, StatusMessage from {raw}.otel_traces limit 1")
    assert spans[0][0]["gen_ai.response.finish_reasons"] == '["stop"]'  # type: ignore[index]
    bodies = ask(
        house,
        warehouse,
        "select Body, _copy, count(), uniqExact(_log_id) from {raw}.otel_logs group by all order by all",
    )
    assert [(row[1], row[2], row[3]) for row in bodies] == [(0, 2, 1), (0, 2, 1), (1, 2, 1)]
    assert json.loads(str(bodies[1][0]))["type"] == "run_started"
    for kind in METRICS:
        points = 2 if kind == "sum" else 1
        assert ask(
            house, warehouse, f"select count(), uniqExact(_series_id, _time_unix_ns) from {{raw}}.otel_metrics_{kind}"
        ) == [(2 * points, points)]

    dead = ask(
        house,
        warehouse,
        "select error_class, field, workspace_id, payload, reason, is_scrubbed from {raw}.dead_letters order by all",
    )
    assert [(row[0], row[1]) for row in dead] == [
        ("bad_identifier", "trace_id"),
        ("malformed_otlp", ""),
        ("missing_field", "workspace_id"),
    ]
    assert "1 spans, the first at 1" in str(dead[0][4])
    assert json.loads(str(dead[1][3])).keys() == {"sha256", "bytes"}
    kept = [letter for topic in ("otlp_traces", "otlp_spans") for letter in letters(house, topic)]
    assert sorted(letter.decode() for letter in kept) == sorted(str(row[3]) for row in dead)
    everything = ask(house, warehouse, "select toString(tuple(*)) from {raw}.otel_logs") + dead
    assert "SECRET" not in str(everything)
    assert "jane@" not in str(everything)
    assert ask(house, warehouse, "select sum(messages), sum(landed), sum(rejected) from {ops}.load_batches") == [
        (10, 131, 3)
    ]


def test_a_loader_killed_between_insert_and_commit_loses_and_doubles_no_record(
    house: Settings, warehouse: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows and dead letters are in, the proof of it is not: the next loader redoes every run and adds nothing."""
    now, source = time.time_ns(), random.Random(11)  # ids of a test
    raw = house.database("raw")
    for table in ("otel_traces", "otel_logs", "otel_metrics_sum", "dead_letters"):
        # A merge would hide what landed twice.
        warehouse.command(f"alter table {raw}.{table} modify setting max_bytes_to_merge_at_max_space_in_pool = 1")
    nobodys = traces(2, now, source, {"service.name": "x"}).SerializeToString()
    send(house, "otlp_traces", *(traces(40, now, source).SerializeToString() for _ in range(5)), nobodys)
    send(house, "otlp_logs", logs(["a", {"b": 1}], now).SerializeToString())
    send(house, "otlp_metrics", metrics(now).SerializeToString())

    finish = Ledger.finish

    def die(ledger: Ledger, batch: Batch, *rest: Any) -> None:
        if batch.run.source.topic.endswith("otlp_traces"):
            raise RuntimeError("killed")
        finish(ledger, batch, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "finish", die)
        with pytest.raises(Exception, match="killed"):
            drain(house.model_copy(update={"retry_deadline_s": 0.5}))
    landed = ask(house, warehouse, "select count() from {raw}.otel_traces")[0][0]
    assert landed != 0
    assert ask(house, warehouse, "select count() from {ops}.load_batches where endsWith(topic, 'traces')") == [(0,)]

    drain(house)

    assert ask(house, warehouse, "select sum(messages), sum(rejected) from {ops}.load_batches") == [(8, 1)]
    counts = "count(), uniqExact(_partition, _offset, _index)"
    assert ask(house, warehouse, f"select {counts} from {{raw}}.otel_traces") == [(200, 200)]
    assert ask(house, warehouse, f"select {counts} from {{raw}}.otel_logs") == [(2, 2)]
    assert ask(house, warehouse, f"select {counts} from {{raw}}.otel_metrics_sum") == [(2, 2)]
    assert ask(house, warehouse, "select count(), uniqExact(_offset) from {raw}.dead_letters") == [(1, 1)]
