"""A request that its sender gave up on and repeated arrives after all, when all else is done: it changes nothing.

A proxy holds back the first request to one table until the loader has finished, whatever it did about it meanwhile.
"""

import threading
from collections.abc import Iterator

import pytest
from clickhouse_connect.driver.client import Client

from ingest.loader.ledger import Ledger, Progress
from ingest.loader.run import Source
from ingest.settings import ClickHouseAddress, Settings
from ingest.warehouse import connect
from tests.chaos.http_wire import Request
from tests.chaos.inspect_stores import stop_merges
from tests.chaos.proxy import FaultyProxy, Stage
from tests.integration.loader.test_load import count, drain, house, landed_ids, send

__all__ = ["house"]


@pytest.fixture
def proxy(house: Settings) -> Iterator[FaultyProxy]:
    made = FaultyProxy(0, house.clickhouse.port, seed=1)
    yield made
    made.close()


def test_a_report_that_comes_late_or_from_one_who_slept_steps_no_partition_back(
    house: Settings, warehouse: Client, proxy: FaultyProxy
) -> None:
    source = Source(house.topic("agent_events"), "an incarnation", 0)
    address = ClickHouseAddress(f"http://default@127.0.0.1:{proxy.port}")
    slow = Ledger(connect(address, connect_timeout_s=5, request_timeout_s=30), house.database("ops"), "slow")
    ahead = Ledger(warehouse, house.database("ops"), "ahead")
    on_its_way, released = threading.Event(), threading.Event()

    def hold(request: Request, stage: Stage) -> None:
        if stage == "before" and request.inserts_into == "load_progress":
            on_its_way.set()
            released.wait(30)

    proxy.at_request = hold
    late = threading.Thread(target=lambda: slow.report([progress(source, 20)], "late"))
    late.start()
    assert on_its_way.wait(30)
    ahead.report([progress(source, 50)], "in time")
    released.set()
    late.join(30)
    slow.report([progress(source, 20)], "slept")
    slow.report([progress(Source(source.topic, "made anew", 1), 1)], "another source")
    rows = warehouse.query(
        f"select topic_id, next_offset from {house.database('ops')}.load_progress final order by topic_id"
    ).result_rows
    assert [tuple(row) for row in rows] == [("an incarnation", 50), ("made anew", 1)]


def progress(source: Source, next_offset: int) -> Progress:
    return Progress(source, next_offset, 0, 100, None, None, None, None, 3)


@pytest.mark.parametrize("table", ["load_claims", "dead_letters", "agent_events", "load_batches"])
def test_a_late_copy_of_a_request_that_was_repeated_changes_nothing(
    house: Settings, warehouse: Client, proxy: FaultyProxy, table: str
) -> None:
    stop_merges(warehouse, house.database_prefix)
    sent = send(house, 40, bad=5)
    first, released = threading.Event(), threading.Event()

    def hold(request: Request, stage: Stage) -> None:
        if stage == "before" and request.inserts_into == table and not first.is_set():
            first.set()
            released.wait(30)

    proxy.at_request = hold
    slow = house.model_copy(
        update={
            "clickhouse": ClickHouseAddress(f"http://default@127.0.0.1:{proxy.port}"),
            "clickhouse_request_timeout_s": 1.0,
            "inserts_in_flight": 1,
        }
    )
    report = drain(slow)
    assert first.is_set()
    released.set()
    proxy.wait_quiet()
    assert (report.landed, report.rejected, report.lost) == (40, 5, 0)
    assert landed_ids(house, warehouse) == sorted(sent.ids)
    ops, raw = house.database("ops"), house.database("raw")
    assert count(warehouse, f"select count() from {raw}.dead_letters") == 5
    assert count(warehouse, f"select count() - uniqExact(topic, partition, first_offset) from {ops}.load_claims") == 0
    assert count(warehouse, f"select sum(messages) from {ops}.load_batches") == 45
