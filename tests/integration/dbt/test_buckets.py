"""What makes a bucket, or all of them, be built anew: a rule, an upstream, a column, time; and what must not."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.models import Event, Models

# "Now" of the fixture, in UTC and naive, as the client reads times.
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC).replace(tzinfo=None)


@pytest.fixture(autouse=True)
def _empty(models: Models) -> Iterator[None]:
    models.start_over()
    yield
    models.variables.clear()


def _event(number: int, hours_ago: float, event_type: str = "tool_call", **more: object) -> Event:
    at = NOW - timedelta(hours=hours_ago)
    return {
        "event_id": str(uuid.UUID(int=number)), "event_type": event_type,
        "occurred_at": at.strftime("%Y-%m-%d %H:%M:%S.000"), "workspace_id": "acme", "agent": "clerk", "run_id": "r1",
        "tool_name": "search" if event_type == "tool_call" else "", "status": "ok", **more,
    }  # fmt: skip


def _builds(models: Models, model: str) -> list[tuple[str, int]]:
    """(mode, buckets) of each build of a model, the oldest first; it is recorded once for each change log."""
    found = models.rows(
        "ops.model_builds",
        "min(built_at) as first_at, any(mode) as mode, any(buckets) as buckets",
        f"model = '{model}' group by invocation_id",
    )
    return [(str(row["mode"]), int(str(row["buckets"]))) for row in found]


def test_a_rule_with_an_empty_field_that_is_edited_rebuilds_the_past(models: Models) -> None:
    # A hash over a row with a NULL is NULL, which a sum leaves out: edits of such a row rebuilt nothing.
    models.land([_event(1, 30), _event(2, 2)])
    models.build("-s", "+slo_5m")
    about_search = "objective_id = 'web_search_succeeds'"
    assert models.rows("marts.slo_5m", "hour", about_search) == []
    seed = f"{models.settings.database('intermediate')}.slo_objectives"
    unset = models.client.query(f"select threshold from {seed} where id = 'web_search_succeeds'").result_rows
    assert list(unset) == [(None,)], "the objective has a threshold now: choose one that has none"

    _set_tool(models, seed, "search")
    try:
        models.build("-s", "slo_5m")
        assert len(models.rows("marts.slo_5m", "hour", about_search)) == 2
    finally:
        _set_tool(models, seed, "web_search")
    models.build("-s", "slo_5m")
    assert models.rows("marts.slo_5m", "hour", about_search) == []
    models.build("-s", "slo_5m")
    assert _builds(models, "slo_5m") == [("full", 2), ("full", 2), ("full", 2), ("none", 0)]


def _set_tool(models: Models, seed: str, tool_name: str) -> None:
    models.client.command(
        f"alter table {seed} update tool_name = {{tool:String}} where id = 'web_search_succeeds'",
        parameters={"tool": tool_name},
        settings={"mutations_sync": 2},
    )


def test_what_is_built_from_a_model_whose_rule_changed_is_built_anew_too(models: Models) -> None:
    # How long a run must be silent to be abandoned stands in the SQL of int_agent_runs only.
    models.land([_event(1, 30, "agent_run_started"), _event(2, 2, run_id="r2")])
    of_run = "day = '2026-11-19'"
    models.build("-s", "+agent_health_daily")
    assert [row["abandoned_runs"] for row in models.rows("marts.agent_health_daily", "abandoned_runs", of_run)] == [1]

    models.variables["run_silence_h"] = 48
    models.build("-s", "int_agent_runs", "agent_health_daily")
    assert [row["abandoned_runs"] for row in models.rows("marts.agent_health_daily", "abandoned_runs", of_run)] == [0]


def test_buckets_that_look_back_end_with_the_newest_hour_there_is(models: Models) -> None:
    # slo_windows_5m looks back 32 days: an unbounded spread would build as many days that have not come.
    models.land([_event(1, 5.5)])
    models.build("-s", "+slo_windows_5m")
    models.land([_event(2, 1.5, run_id="r2")])
    models.build("-s", "+slo_windows_5m")
    hours = models.rows("marts.slo_windows_5m", "distinct hour")
    assert [row["hour"] for row in hours] == [NOW + timedelta(hours=number) for number in range(-6, 1)]
    # From 06:00 to noon; then from 10:00, which changed, to noon.
    assert _builds(models, "slo_windows_5m") == [("full", 7), ("increment", 3)]


def test_a_table_that_only_grows_takes_on_a_column_that_is_new(models: Models) -> None:
    models.land([_event(1, 5)])
    models.build("-s", "+int_changed_hours")
    table = f"{models.settings.database('intermediate')}.int_changed_hours"
    models.client.command(f"alter table {table} drop column reason")
    # As a build of the model before it had the column would have left it: of other columns.
    builds = f"{models.settings.database('ops')}.model_builds"
    forget = f"alter table {builds} update fingerprint = '' where model = 'int_changed_hours'"
    models.client.command(forget, settings={"mutations_sync": 2})
    models.land([_event(2, 3)])
    models.build("-s", "+int_changed_hours")
    found = models.rows("intermediate.int_changed_hours", "bucket_at, reason")
    assert found == [
        {"bucket_at": NOW - timedelta(hours=5), "reason": ""},
        {"bucket_at": NOW - timedelta(hours=3), "reason": "arrival"},
    ]
