"""A loader killed at each step of its protocol on topics of OTLP, where one message is rows of several tables.

As test_steps.py does for events; a message's records are told by partition, offset and place within it.
"""

import random
import time
from collections.abc import Iterator

import pytest

from bench import stand
from ingest.kafka import open_producer, producer_config
from tests.chaos.arena import PARTITIONS, TOPICS, Arena, Loader, kill_at
from tests.chaos.proxy import Stage
from tests.support.otlp_requests import metrics, traces

PREFIX = "otlp900_"
TABLES = ("otel_traces", "otel_metrics_gauge", "otel_metrics_sum", "otel_metrics_histogram", "dead_letters")
STAGES: tuple[Stage, ...] = ("before", "after")
PLACES = [
    (table, stage)
    for table in ("load_claims", "dead_letters", "otel_traces", "otel_metrics_sum", "load_batches")
    for stage in STAGES
]
SPANS = 50
OTLP = {"METERHOUSE_OTLP_TRACES_TOPICS": "otlp_traces", "METERHOUSE_OTLP_METRICS_TOPICS": "otlp_metrics"}


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with Arena(tmp_path_factory.mktemp("chaos"), "embedded", 5) as made:
        yield made


@pytest.mark.chaos
def test_a_loader_of_otlp_killed_at_every_step_loses_and_doubles_nothing(arena: Arena) -> None:
    source = random.Random(5)
    client = stand.open_client(arena.engine_port)
    stand.make_tables(client, PREFIX)
    for table in TABLES:
        client.command(
            f"alter table {PREFIX}raw.{table} modify setting max_bytes_to_merge_at_max_space_in_pool = 1, "
            "max_bytes_to_merge_at_min_space_in_pool = 1"
        )
    topics = [f"{PREFIX}{name}" for name in ("otlp_traces", "otlp_metrics")]
    stand.make_topics(arena.bootstrap, [*topics, *(f"{PREFIX}{name}" for name in TOPICS)], PARTITIONS)
    sent, hits = [0, 0, 0], []
    for table, stage in random.Random(5).sample(PLACES, len(PLACES)):
        _send(arena, topics, source, sent)
        loader = Loader(arena, PREFIX, "victim", OTLP)
        hits.append(kill_at(arena, loader, table, stage))
        loader.start()
        loader.wait(120)
    arena.proxy.at_request = lambda _request, _stage: None
    last = Loader(arena, PREFIX, "drainer", OTLP)
    last.start("--drain")
    assert last.wait(120) == 0
    arena.proxy.wait_quiet()

    assert all(hits), "every place must have been reached"
    good, bad, points = sent
    found = {}
    for table in TABLES:
        place = "_topic, _partition, _offset" + ("" if table == "dead_letters" else ", _index")
        asked = client.query(f"select count(), uniqExact({place}) from {PREFIX}raw.{table}")
        found[table] = asked.result_rows[0]
    assert found["otel_traces"] == (good * SPANS, good * SPANS)
    assert found["dead_letters"] == (bad, bad)
    assert found["otel_metrics_gauge"] == (points, points)
    assert found["otel_metrics_sum"] == (2 * points, 2 * points)
    assert found["otel_metrics_histogram"] == (points, points)
    client.close()


def _send(arena: Arena, topics: list[str], source: random.Random, sent: list[int]) -> None:
    """Requests of spans to each partition, points, and one of nobody; adds what was sent: good, bad, points."""
    producer = open_producer(producer_config(arena.bootstrap, {}))
    for partition in range(PARTITIONS):
        now = time.time_ns()
        producer.produce(topics[0], traces(SPANS, now, source).SerializeToString(), partition=partition)
        producer.produce(topics[1], metrics(now).SerializeToString(), partition=partition)
    producer.produce(topics[0], traces(1, time.time_ns(), source, {"a": "b"}).SerializeToString(), partition=1)
    assert producer.flush(30) == 0
    for at, more in enumerate((PARTITIONS, 1, PARTITIONS)):
        sent[at] += more
