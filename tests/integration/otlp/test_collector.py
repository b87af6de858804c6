"""A real Collector as deploy/ configures it: into Kafka in both encodings, and into its exporter's own tables.

What the ClickHouse exporter writes is held against what the loader lands of the same requests, column for column.
"""

import random
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from ingest.kafka import KafkaAdmin, TopicSpec
from ingest.loader.service import run_loader
from ingest.schema.engines import Layout
from ingest.schema.migrate import migrate
from ingest.settings import Settings
from ingest.warehouse import connect
from tests.support import collector as built
from tests.support.collector import Collector, Kind
from tests.support.otlp_requests import Plain, attributes, logs, metrics, traces
from tests.support.shared import Engine

TABLES = ("otel_traces", "otel_logs", *(f"otel_metrics_{kind}" for kind in ("gauge", "sum", "histogram", "summary")))
ALL_TABLES = (*TABLES, "otel_metrics_exponential_histogram")
PLANTED: dict[str, Plain] = {
    "user.id": "SECRET",
    "gen_ai.prompt": "SECRET",
    "note": "of jane@example.com",
    "finish": ["a", 1, 0.5, True],
}


@pytest.fixture
def house(settings: Settings, warehouse: Client) -> Settings:
    migrate(warehouse, Layout(settings.database_prefix, "", settings.retention_days), say=lambda _: None)
    return settings


def need(kind: Kind) -> None:
    reason = built.why_absent(kind)
    if reason is not None:
        (pytest.fail if built.is_required() else pytest.skip)(reason)


def post(collector: Collector, now: int) -> None:
    """One request of each signal, with something to remove in it."""
    source = random.Random(now)
    spans, records = traces(3, now, source), logs(['{"type": "tool_call"}', "SECRET sentence"], now)
    first = spans.resource_spans[0].scope_spans[0].spans[0]
    first.attributes.extend(attributes(PLANTED))
    first.status.message, first.status.code = "SECRET", 2  # type: ignore[assignment]  # error
    event = first.events.add(time_unix_nano=now, name="exception")
    event.attributes.extend(attributes({"exception.type": "Timeout", "exception.message": "SECRET"}))
    for path, request in (("traces", spans), ("logs", records), ("metrics", metrics(now))):
        sent = urllib.request.Request(  # noqa: S310  # loopback, of our own making
            f"{collector.http}/v1/{path}",
            data=request.SerializeToString(),
            headers={"Content-Type": "application/x-protobuf"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(sent, timeout=10) as answer:
            assert answer.status == 200


def wait_until(is_so: Callable[[], bool], what: str, within_s: float = 40.0) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def columns_of(client: Client, database: str, table: str) -> dict[str, str]:
    """Name and type of each column that is written; that times are UTC is said in ours only."""
    rows = client.query(
        "select name, type from system.columns where database = {database:String} and table = {table:String} "
        "and default_kind != 'MATERIALIZED'",
        parameters={"database": database, "table": table},
    ).result_rows
    return {name: kind.replace("9, 'UTC'", "9").replace("DateTime('UTC')", "DateTime") for name, kind in rows}


@pytest.fixture
def exported(house: Settings, engine: Engine, tmp_path: Path) -> Iterator[tuple[Client, str, int]]:
    """The exporter's tables of one round of requests; their database and the requests' time."""
    need("clickhouse")
    database, now = f"{house.database_prefix}otel", time.time_ns()
    collector = Collector(
        "clickhouse",
        tmp_path,
        {"COLLECTOR_CLICKHOUSE": engine.url, "COLLECTOR_DATABASE": database, "COLLECTOR_MIN_BATCH": "1"},
    )
    server = collector.start()
    client = connect(house.clickhouse, connect_timeout_s=5, request_timeout_s=60)
    try:
        post(collector, now)

        def are_in() -> bool:
            return all(client.query(f"select count() from {database}.{table}").result_rows[0][0] for table in TABLES)

        wait_until(are_in, f"rows in all of {TABLES}; {server.log.read_text()[-2000:]}")
        yield client, database, now
    finally:
        client.close()
        server.stop()


def test_the_exporters_tables_are_ours_column_for_column(exported: tuple[Client, str, int], house: Settings) -> None:
    client, database, _ = exported
    for table in ALL_TABLES:
        theirs, ours = (columns_of(client, one, table) for one in (database, f"{house.database_prefix}raw"))
        own = ours.keys() - theirs.keys()
        assert {name: kind for name, kind in ours.items() if name not in own} == theirs, table
        assert all(name == "workspace_id" or name.startswith("_") for name in own)
    everything = "".join(str(client.query(f"select * from {database}.{table}").result_rows) for table in TABLES)
    assert "SECRET" not in everything
    assert "jane" not in everything


@pytest.mark.parametrize("encoding", ["otlp_proto", "otlp_json"])
def test_through_kafka_the_loader_lands_what_the_exporter_writes(
    encoding: str, exported: tuple[Client, str, int], house: Settings, tmp_path: Path
) -> None:
    """The same requests through the same processors: equal in every column that both have."""
    need("kafka")
    client, database, now = exported
    topics = [house.topic(name) for name in ("otlp_traces", "otlp_logs", "otlp_metrics")]
    with KafkaAdmin(house.bootstrap, house.kafka_options) as admin:
        admin.ensure_topics(TopicSpec(name, 3) for name in topics)
        collector = Collector(
            "kafka",
            tmp_path / "kafka",
            {
                "METERHOUSE_KAFKA_BOOTSTRAP": house.bootstrap,
                "METERHOUSE_TOPIC_PREFIX": house.topic_prefix,
                "COLLECTOR_ENCODING": encoding,
            },
        )
        server = collector.start()
        try:
            post(collector, now)
            wait_until(
                lambda: len({topic for (topic, _), marks in admin.watermarks(topics).items() if marks.high}) == 3,
                f"a message in each of {topics}; {server.log.read_text()[-2000:]}",
            )
        finally:
            server.stop()
    report = run_loader(house, drain=True)
    assert report.rejected == 0
    raw = f"{house.database_prefix}raw"
    for table in ALL_TABLES:
        for name, kind in columns_of(client, database, table).items():
            # A map's order is the exporter's own.
            value = f"mapSort(`{name}`)" if kind.startswith("Map") else f"`{name}`"
            value = f"arrayMap(one -> mapSort(one), `{name}`)" if kind.startswith("Array(Map") else value
            theirs, ours = (
                sorted(str(row[0]) for row in client.query(f"select toString({value}) from {one}.{table}").result_rows)
                for one in (database, raw)
            )
            assert ours == theirs, f"{table}.{name}"
    assert client.query(f"select distinct workspace_id from {raw}.otel_traces").result_rows == [("acme",)]
