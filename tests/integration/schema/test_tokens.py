"""What an insert token promises on the engine, and what it does not: the ground the loader stands on."""

import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from clickhouse_connect.driver.client import Client

from ingest.embedded.stack import answers_ok
from ingest.landed import months_landed
from ingest.schema.engines import Layout
from ingest.schema.migrate import migrate
from ingest.settings import ClickHouseAddress
from ingest.warehouse import connect, insert_settings
from tests.integration.schema.conftest import House
from tests.support.servers import free_port, running

MONTHS = [datetime(2026, month, 3, tzinfo=UTC) for month in (1, 2, 3)]


def insert_events(client: Client, table: str, token: str, first: int, times: list[datetime]) -> None:
    rows = ", ".join(
        f"(generateUUIDv4(), 'llm_call', '{at:%Y-%m-%d %H:%M:%S}', 'w', 't', 0, {first + i})"
        for i, at in enumerate(times)
    )
    client.command(
        f"insert into {table} (event_id, event_type, occurred_at, workspace_id, _topic, _partition, _offset) "
        f"values {rows}",
        settings=insert_settings(client, token),
    )


def claim(client: Client, table: str, last: int, owner: str) -> tuple[int, str]:
    """Claims offset 100 up to `last`; the claim that counts."""
    client.command(
        f"insert into {table} (topic, topic_id, partition, first_offset, last_offset, judged_at, owner) "
        f"values ('t', 'id', 0, 100, {last}, now64(3), '{owner}')",
        settings=insert_settings(client, "claim:id:0:100"),
    )
    row = client.query(
        f"select last_offset, owner from {table} where topic_id = 'id' and partition = 0 and first_offset = 100 "
        "order by claimed_at limit 1"
    ).result_rows[0]
    return int(row[0]), str(row[1])


def test_the_same_token_lands_once_in_every_month_it_touches(house: House) -> None:
    table = house.table("raw.agent_events")
    for _ in range(3):
        insert_events(house.client, table, "rows:id:0:0-2", 0, MONTHS)
    assert house.count("raw.agent_events") == 3
    landed = months_landed(house.client, table, topic="t", partition=0, first=0, last=2)
    assert landed == {202601: 1, 202602: 1, 202603: 1}
    assert months_landed(house.client, table, topic="t", partition=0, first=3, last=9) == {}


def test_a_retry_lands_only_the_months_that_are_missing(house: House) -> None:
    table = house.table("raw.agent_events")
    insert_events(house.client, table, "rows:id:0:0-2", 0, MONTHS[:1])  # as if it had died after the first part
    insert_events(house.client, table, "rows:id:0:0-2", 0, MONTHS)
    assert house.count("raw.agent_events") == 3


def test_of_many_claims_of_one_offset_the_first_wins_for_everybody(house: House) -> None:
    table, start = house.table("ops.load_claims"), threading.Barrier(8)

    def run(number: int) -> tuple[int, str]:
        client = connect(house.address, connect_timeout_s=5, request_timeout_s=60)
        try:
            start.wait(10)
            return claim(client, table, 100 + number, f"loader-{number}")
        finally:
            client.close()

    with ThreadPoolExecutor(8) as pool:
        winners = set(pool.map(run, range(8)))
    assert len(winners) == 1
    assert house.count("ops.load_claims") == 1


def test_tokens_outlive_the_engine_and_a_token_without_its_part_is_found_out(tmp_path: Path) -> None:
    """The engine died between writing a token and moving the part into place: retries say yes and land nothing."""
    port, data = free_port(), tmp_path / "data"
    argv = [sys.executable, "-m", "ingest.embedded.clickhouse", "--path", str(data), "--port", str(port)]
    address, layout = ClickHouseAddress(f"http://default@127.0.0.1:{port}"), Layout()
    claims, events = layout.stored_table("ops.load_claims"), layout.stored_table("raw.agent_events")

    with running(argv, tmp_path / "engine.log", lambda: answers_ok(f"http://127.0.0.1:{port}/ping")) as server:
        client = connect(address, connect_timeout_s=5, request_timeout_s=60)
        migrate(client, layout)
        assert claim(client, claims, 150, "first") == (150, "first")
        insert_events(client, events, "rows:id:0:0-2", 0, MONTHS)
        (part,) = client.query(
            "select path from system.parts where database = 'raw' and table = 'agent_events' and partition = '202602'"
        ).result_rows[0]
        client.close()
        server.kill()
    shutil.rmtree(part if Path(part).is_absolute() else data / part)

    with running(argv, tmp_path / "engine.log", lambda: answers_ok(f"http://127.0.0.1:{port}/ping")):
        client = connect(address, connect_timeout_s=5, request_timeout_s=60)
        assert claim(client, claims, 190, "second") == (150, "first")
        insert_events(client, events, "rows:id:0:0-2", 0, MONTHS)
        landed = months_landed(client, events, topic="t", partition=0, first=0, last=2)
        assert landed == {202601: 1, 202603: 1}
        insert_events(client, events, "rows:id:0:0-2:again1", 1, MONTHS[1:2])
        landed = months_landed(client, events, topic="t", partition=0, first=0, last=2)
        assert landed == {202601: 1, 202602: 1, 202603: 1}
        client.close()
