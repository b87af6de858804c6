"""Which copy of an event wins, and when a topic is complete."""

import pytest

from ingest.warehouse import insert_settings
from tests.integration.schema.conftest import House

EVENT = "018f3c1e-0000-7000-8000-000000000001"


def land(house: House, token: str, rows: list[tuple[int, str, str]], **settings: int) -> None:
    """Rows of (offset, occurred_at, model), all copies of one event."""
    values = ", ".join(f"('{EVENT}', 'llm_call', '{at}', 'w', '{model}', {offset})" for offset, at, model in rows)
    house.client.command(
        f"insert into {house.table('raw.agent_events')} "
        f"(event_id, event_type, occurred_at, workspace_id, model, _offset) values {values}",
        settings={**insert_settings(house.client, token), **settings},
    )


def models(house: House) -> list[str]:
    rows = house.client.query(f"select model from {house.table('raw.agent_events')} final order by model").result_rows
    return [model for (model,) in rows]


@pytest.mark.parametrize("collapse_on_insert", [0, 1])
def test_within_one_insert_the_higher_offset_wins_wherever_it_stands(house: House, collapse_on_insert: int) -> None:
    at = "2026-11-01 10:00:00"
    rows = [(4_294_967_296, at, "last"), (7, at, "first"), (4_194_304, at, "middle")]
    land(house, "a", rows, optimize_on_insert=collapse_on_insert)
    assert models(house) == ["last"]


def test_a_later_insert_wins_over_a_higher_offset(house: House) -> None:
    land(house, "a", [(900, "2026-11-01 10:00:00", "early")])
    house.client.command("select sleep(0.01)")
    land(house, "b", [(3, "2026-11-01 10:00:00", "late")])
    assert models(house) == ["late"]
    house.client.command(f"optimize table {house.table('raw.agent_events')} final")
    assert house.count("raw.agent_events") == 1
    assert models(house) == ["late"]


def test_a_correction_of_the_time_stays_a_second_row_and_version_tells_which_is_last(house: House) -> None:
    land(house, "a", [(1, "2026-11-01 10:00:00", "was"), (2, "2026-11-01 11:00:00", "corrected")])
    assert models(house) == ["corrected", "was"]
    winner = house.client.query(
        f"select model from {house.table('raw.agent_events')} order by _version desc limit 1 by workspace_id, event_id"
    ).result_rows
    assert winner == [("corrected",)]


def report(
    house: House, partition: int, complete_to: str, *, topic_id: str = "new", count: int = 2, ago_s: int = 0
) -> None:
    house.client.command(
        f"insert into {house.table('ops.load_progress')} "
        "(topic, partition, topic_id, next_offset, high_watermark, lag, complete_to, partition_count, reported_at) "
        f"values ('t', {partition}, '{topic_id}', 5, 8, 3, {complete_to}, {count}, now64(3) - {ago_s})"
    )


def completeness(house: House) -> tuple[str, int, bool]:
    rows = house.client.query(
        "select ifNull(toString(complete_to), 'unknown'), lag, is_stale "
        f"from {house.layout.database('ops')}.completeness"
    ).result_rows
    assert len(rows) == 1
    return str(rows[0][0]), int(rows[0][1]), bool(rows[0][2])


def test_a_topic_is_complete_to_where_its_slowest_partition_is(house: House) -> None:
    report(house, 0, "'2026-11-23 12:04:31'")
    assert completeness(house) == ("unknown", 3, False)  # the broker counts two partitions
    report(house, 1, "null")
    assert completeness(house) == ("unknown", 6, False)
    report(house, 1, "'2026-11-23 12:00:00'")
    assert completeness(house) == ("2026-11-23 12:00:00.000", 6, False)


def test_partitions_of_an_earlier_topic_of_that_name_do_not_hold_it_back(house: House) -> None:
    report(house, 7, "null", topic_id="old", count=8, ago_s=3600)
    report(house, 0, "'2026-11-23 12:00:00'", count=1)
    assert completeness(house) == ("2026-11-23 12:00:00.000", 3, False)


def test_a_partition_nobody_reports_any_more_makes_the_topic_stale(house: House) -> None:
    report(house, 0, "'2026-11-23 12:00:00'")
    report(house, 1, "'2026-11-23 12:00:00'", ago_s=600)
    assert completeness(house)[2] is True
