"""Real loaders in processes of their own, stopped and started while ClickHouse or Kafka does not answer."""

import http.client
import json
import time
from collections.abc import Callable, Iterator

import pytest

from bench import stand
from tests.chaos.arena import PARTITIONS, TOPICS, Arena, Loader
from tests.chaos.load import Load
from tests.support.servers import free_port

DRAIN_S = 4
# Starting and ending Python takes seconds on a busy machine; what is bounded is the loader's part.
ENDS_WITHIN_S = DRAIN_S + 6
PATIENT = {"METERHOUSE_DRAIN_DEADLINE_S": str(DRAIN_S), "METERHOUSE_CLICKHOUSE_REQUEST_TIMEOUT_S": "120"}


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with Arena(tmp_path_factory.mktemp("stop"), "embedded", seed=1) as made:
        yield made


@pytest.fixture
def load(arena: Arena, prefix: str) -> Iterator[Load]:
    client = stand.open_client(arena.engine_port)
    stand.make_tables(client, prefix)
    client.close()
    topics = [f"{prefix}{name}" for name in TOPICS]
    stand.make_topics(arena.bootstrap, topics, PARTITIONS)
    made = Load(arena.bootstrap, topics, PARTITIONS, seed=1, rate=500)
    made.start()
    yield made
    arena.proxy.set("pass")


def until(is_so: Callable[[], bool], what: str, within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def landed(arena: Arena, prefix: str) -> int:
    client = stand.open_client(arena.engine_port)
    try:
        return int(client.query(f"select sum(messages) from {prefix}ops.load_batches").result_rows[0][0])
    finally:
        client.close()


def asked(port: int, path: str) -> tuple[int, str]:
    """The status and the reasons."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", f"/{path}")
        answer = connection.getresponse()
        return answer.status, "; ".join(json.loads(answer.read())["reasons"])
    finally:
        connection.close()


def says(loader: Loader, words: str) -> bool:
    return words in loader.log.read_text(encoding="utf-8", errors="replace")


def test_a_stop_while_clickhouse_never_answers_ends_in_time_and_the_next_start_lands_the_rest(
    arena: Arena, prefix: str, load: Load
) -> None:
    loader = Loader(arena, prefix, "one", PATIENT)
    loader.start()
    until(lambda: landed(arena, prefix) > 0, "something landed")
    arena.proxy.set("hang")
    until(lambda: arena.proxy.faults >= 2, "requests that hang")
    assert loader.stop(ENDS_WITHIN_S) == 3
    assert says(loader, "nothing is lost: the next start takes them up")
    arena.proxy.set("pass")
    load.finish()
    after = Loader(arena, prefix, "after", {"METERHOUSE_CONSUMER_GROUP": f"{prefix}after"})
    after.start("--drain")
    assert after.wait(60) == 0
    assert landed(arena, prefix) == load.sent


def test_a_stop_while_kafka_never_answers_ends_in_time(arena: Arena, prefix: str, load: Load) -> None:
    loader = Loader(arena, prefix, "one", PATIENT)
    loader.start()
    until(lambda: landed(arena, prefix) > 0, "something landed")
    load.finish()
    assert arena.broker is not None
    arena.broker.pause()
    try:
        assert loader.stop(ENDS_WITHIN_S) in (0, 3)
    finally:
        arena.broker.resume()


def test_a_loader_that_starts_before_clickhouse_waits_says_so_and_loads_when_it_is_there(
    arena: Arena, prefix: str, load: Load
) -> None:
    arena.kill_engine()
    port = free_port()
    loader = Loader(arena, prefix, "one", {**PATIENT, "METERHOUSE_METRICS_PORT": str(port)})
    other = Loader(arena, prefix, "two", PATIENT)
    loader.start()
    other.start()
    until(lambda: says(loader, "waiting") and says(other, "waiting"), "both said that they wait")
    assert asked(port, "healthz")[0] == 200
    assert asked(port, "readyz") == (503, "waiting for ClickHouse and Kafka to answer")
    assert other.stop(ENDS_WITHIN_S) == 0
    arena.start_engine()
    until(lambda: landed(arena, prefix) > 0, "something landed")
    assert asked(port, "readyz") == (200, "")
    load.finish()
    assert loader.stop(ENDS_WITHIN_S) in (0, 3)
