"""Migrations on the engine: once, again, interrupted, changed, from the future, and two at a time."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ingest.schema.files import Migration, load_migrations
from ingest.schema.migrate import MigrationError, migrate, status
from ingest.warehouse import connect
from tests.integration.schema.conftest import House


def states(house: House, migrations: list[Migration] | None = None) -> list[str]:
    return [row.state for row in status(house.client, house.layout, migrations)]


def test_a_second_run_finds_nothing_to_do(empty_house: House) -> None:
    known = len(load_migrations())
    assert states(empty_house) == ["pending"] * known
    assert migrate(empty_house.client, empty_house.layout) == known
    said: list[str] = []
    assert migrate(empty_house.client, empty_house.layout, say=said.append) == 0
    assert said == [f"all {known} migrations are applied"]
    assert states(empty_house) == ["applied"] * known


def test_a_dry_run_prints_every_statement_and_makes_nothing(empty_house: House) -> None:
    said: list[str] = []
    migrate(empty_house.client, empty_house.layout, dry_run=True, say=said.append)
    assert any("agent_events" in line and "create table" in line for line in said)
    databases = empty_house.client.query("select name from system.databases").result_rows
    assert not any(name.startswith(empty_house.layout.database_prefix) for (name,) in databases)


def test_a_file_that_changed_after_it_was_applied_stops_the_run(house: House) -> None:
    first, *rest = load_migrations()
    changed = [replace(first, text=first.text + "\n-- an afterthought"), *rest]
    with pytest.raises(MigrationError, match=rf"{first.file} was applied .* has changed since .*new migration"):
        migrate(house.client, house.layout, migrations=changed)
    assert states(house, changed)[0] == "changed"


def test_a_database_of_a_newer_meterhouse_is_left_alone(house: House) -> None:
    older = load_migrations()[:-1]
    with pytest.raises(MigrationError, match=rf"knows versions up to {len(older)}: a newer Meterhouse .* Upgrade"):
        migrate(house.client, house.layout, migrations=older)
    assert states(house, older)[-1] == "unknown"


def test_a_run_that_broke_in_the_middle_of_a_file_is_finished_by_the_next(house: House) -> None:
    known = load_migrations()
    number = len(known) + 1
    good = "create table if not exists {{ops}}.extra (x UInt8) engine = {{everywhere MergeTree}} order by x;\n"
    broken = Migration(number, "extra", "extra.sql", good + "alter table {{ops}}.extra modify column y no_such_type;")
    with pytest.raises(MigrationError, match=r"extra.sql, statement 2 of 2, failed: .*run `meterhouse migrate` again"):
        migrate(house.client, house.layout, migrations=[*known, broken])
    assert states(house, [*known, broken])[-1] == "pending"
    mended = replace(broken, text=good + "alter table {{ops}}.extra add column if not exists y UInt8;")
    assert migrate(house.client, house.layout, migrations=[*known, mended]) == 1
    assert states(house, [*known, mended])[-1] == "applied"


def test_processes_that_migrate_at_once_leave_one_row_a_version(empty_house: House) -> None:
    def run(_: int) -> None:
        client = connect(empty_house.address, connect_timeout_s=5, request_timeout_s=60)
        try:
            migrate(client, empty_house.layout)
        finally:
            client.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    assert empty_house.count("ops.schema_migrations") == len(load_migrations())
    assert set(states(empty_house)) == {"applied"}


def test_the_retention_follows_the_setting_in_both_directions_and_says_so(house: House) -> None:
    def at(days: int) -> tuple[int, list[str]]:
        said: list[str] = []
        migrate(house.client, replace(house.layout, retention_days=days), say=said.append)
        house.client.command(f"optimize table {house.table('raw.agent_events')} final")
        return house.count("raw.agent_events"), said

    for age_days in (1, 60):
        house.client.command(
            f"insert into {house.table('raw.agent_events')} "
            "(event_id, event_type, occurred_at, workspace_id, _loaded_at) "
            "select generateUUIDv4(), 'llm_call', '2026-01-05 00:00:00', 'w', {at:DateTime64(3)}",
            parameters={"at": datetime.now(UTC) - timedelta(days=age_days)},
        )
    assert at(90) == (2, [f"all {len(load_migrations())} migrations are applied"])
    assert at(36_500)[0] == 2
    rows, said = at(30)
    assert rows == 1
    assert said[0] == "raw.agent_events: retention changes from for ever to 30 days"
    assert at(30) == (1, [f"all {len(load_migrations())} migrations are applied"])
