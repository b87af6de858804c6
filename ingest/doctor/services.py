"""Checks of ClickHouse, Kafka and what Meterhouse keeps in them. Each looks, within seconds, and changes nothing.

A service that is away raises MeterhouseError; `examine` makes a finding of it.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from clickhouse_connect.driver.client import Client

from ingest.doctor.findings import Finding, fail, ok, warn
from ingest.settings import Settings

LOOK_WITHIN_S = 5.0
# The loader refuses events from further ahead than METERHOUSE_EVENT_MAX_FUTURE_S (900 s); judge long before.
WARN_SKEW_S, FAIL_SKEW_S = 2.0, 60.0
STALE_REPORT_S = 60.0
LAG_WARN_MESSAGES = 1_000_000


@contextmanager
def warehouse(settings: Settings) -> Iterator[Client]:
    """A short-lived client with the doctor's deadlines."""
    from ingest.warehouse import connect

    client = connect(settings.clickhouse, connect_timeout_s=LOOK_WITHIN_S, request_timeout_s=LOOK_WITHIN_S)
    try:
        yield client
    finally:
        client.close()


def clickhouse(settings: Settings) -> Finding:
    """Reachable, as this user, with a question answered."""
    address = settings.clickhouse
    try:
        # Before the client, which wraps a refused connection in three layers of words.
        socket.create_connection((address.host, address.port), timeout=LOOK_WITHIN_S).close()
    except OSError as error:
        return fail(
            "clickhouse",
            f"{address.public} cannot be reached: {error.strerror or error}",
            "start it with `meterhouse up`, or set METERHOUSE_CLICKHOUSE_URL to where yours listens",
        )
    started = time.monotonic()
    with warehouse(settings) as client:
        version = str(client.query("select version()").result_rows[0][0])
    took_ms = (time.monotonic() - started) * 1_000
    return ok("clickhouse", f"{version} at {settings.clickhouse.public}, answered in {took_ms:.0f} ms")


def clickhouse_clock(settings: Settings) -> Finding:
    with warehouse(settings) as client:
        before = datetime.now(UTC)
        there = client.query("select toUnixTimestamp64Milli(now64(3))").result_rows[0][0] / 1_000
        after = datetime.now(UTC)
    middle = (before.timestamp() + after.timestamp()) / 2
    skew, doubt = there - middle, (after - before).total_seconds() / 2
    return judge_skew("clock", skew, doubt)


def judge_skew(check: str, skew_s: float, doubt_s: float) -> Finding:
    """`doubt_s`: half of what the question took; a skew within it is none."""
    seen = f"{skew_s:+.3f} s from ours (±{doubt_s:.3f})"
    real = max(0.0, abs(skew_s) - doubt_s)
    advice = "run a time service (chrony, systemd-timesyncd) on both machines: events are judged by the clock"
    if real > FAIL_SKEW_S:
        return fail(check, seen, advice)
    return warn(check, seen, advice) if real > WARN_SKEW_S else ok(check, seen)


def migrations(settings: Settings) -> Finding:
    from ingest.schema.engines import Layout
    from ingest.schema.migrate import status

    with warehouse(settings) as client:
        rows = status(client, Layout(settings.database_prefix, settings.clickhouse_cluster, settings.retention_days))
    by_state = {
        state: [row.version for row in rows if row.state == state] for state in ("pending", "changed", "unknown")
    }
    if by_state["changed"]:
        files = ", ".join(f"{version:04}" for version in by_state["changed"])
        return fail("migrations", f"changed after they were applied: {files}", "restore the files as they were applied")
    if by_state["unknown"]:
        return fail("migrations", "a newer Meterhouse migrated this database", "upgrade this installation")
    if by_state["pending"]:
        return fail("migrations", f"{len(by_state['pending'])} of {len(rows)} not applied", "run `meterhouse migrate`")
    return ok("migrations", f"all {len(rows)} applied, unchanged")


def kafka(settings: Settings) -> Finding:
    from ingest.kafka import KafkaAdmin

    with KafkaAdmin(settings.bootstrap, settings.kafka_options, timeout_s=LOOK_WITHIN_S) as admin:
        cluster = admin.cluster()
    return ok("kafka", f"cluster {cluster.cluster_id}, {len(cluster.brokers)} broker(s) at {settings.bootstrap}")


def kafka_options(settings: Settings) -> Finding:
    """Whether librdkafka takes every option, for a consumer and a producer alike."""
    from ingest.kafka import consumer_config, open_consumer, open_producer, producer_config

    options, bootstrap = settings.kafka_options, settings.bootstrap
    consumer_options = consumer_config(
        bootstrap, options, group=settings.consumer_group, assignor=settings.partition_assignor
    )
    # Both are made and dropped without a request; their connections fail or not in silence.
    open_consumer(consumer_options, lambda _: None).close()
    open_producer(producer_config(bootstrap, options), lambda _: None)
    return ok("kafka options", ", ".join(sorted(options)) if options else "none set")


def topics(settings: Settings) -> Finding:
    from ingest.embedded.stack import TOPICS
    from ingest.kafka import KafkaAdmin

    names = [settings.topic(name) for name in TOPICS]
    with KafkaAdmin(settings.bootstrap, settings.kafka_options, timeout_s=LOOK_WITHIN_S) as admin:
        described = admin.describe(names)
    missing = [name for name in names if name not in described]
    if missing:
        return fail("topics", f"missing: {', '.join(missing)}", "run `meterhouse up`, or create them")
    if not all(topic.has_broker_id for topic in described.values()):
        return warn(
            "topics",
            "this broker has no topic ids",
            "never delete and recreate a topic under its old name: the loader could not tell",
        )
    return ok("topics", ", ".join(f"{name} ({len(described[name].partitions)})" for name in names))


def progress(settings: Settings) -> Finding:
    """Lag and completeness: how far the loaders are, and whether they still report."""
    from ingest.embedded.report import read_complete_to, read_landed, topic_line
    from ingest.embedded.stack import TOPICS
    from ingest.kafka import KafkaAdmin

    streams = [settings.topic(name) for name in TOPICS if not name.endswith(".dlq")]
    with warehouse(settings) as client:
        landed, complete_to = read_landed(client, settings), read_complete_to(client, settings)
    with KafkaAdmin(settings.bootstrap, settings.kafka_options, timeout_s=LOOK_WITHIN_S) as admin:
        described, watermarks = admin.describe(streams), admin.watermarks(streams)
    lines = [
        topic_line(described[name], watermarks, landed, complete_to.get(name)) for name in streams if name in described
    ]
    seen = ", ".join(
        f"{line.topic}: {line.lag or 0:,} not landed"
        + (f", complete to {line.complete_to:%Y-%m-%d %H:%M:%S}" if line.complete_to else "")
        for line in lines
    )
    now = datetime.now(UTC)
    behind = [line for line in lines if line.lag]
    silent = [
        line for line in behind if line.reported_at is None or (now - line.reported_at).total_seconds() > STALE_REPORT_S
    ]
    if silent:
        return warn("lag", seen, "messages wait and no loader reports: start `meterhouse load`")
    if any((line.lag or 0) > LAG_WARN_MESSAGES for line in behind):
        return warn("lag", seen, "the loaders are far behind: start more of them, up to one a partition")
    return ok("lag", seen or "no stream topics yet")
