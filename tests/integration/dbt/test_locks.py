"""Builds of chosen days, and that no two builds work on one table at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ingest.warehouse import connect
from tests.integration.dbt.test_buckets import _builds, _event
from tests.support.models import Models

# The first table of all, and the view it reads.
CHAIN = ("stg_agent__events", "stg_otel__spans", "int_clock_ticks")
TAKEN = "insert into {ops}.build_locks (lock_name, generation, said, invocation_id, holder, said_at) values "


@pytest.fixture(autouse=True)
def _empty(models: Models) -> Iterator[None]:
    models.start_over()
    yield
    models.variables.clear()


def _say(models: Models, said: str, seconds_ago: int, who: str = "somebody", generation: int = 900) -> None:
    names = ("fast", "hourly", "daily", "models", "views")
    models.client.command(
        TAKEN.format(ops=models.settings.database("ops"))
        + ", ".join(
            f"('{name}', {generation}, '{said}', '{who}', 'make build', now64(3) - {seconds_ago})" for name in names
        )
    )


def _events_a_day(models: Models) -> dict[str, int]:
    found = models.rows("marts.llm_daily", "toString(day) as at, sum(calls) as all_calls", "1 = 1 group by day")
    return {str(row["at"]): int(str(row["all_calls"])) for row in found}


def test_a_backfill_rebuilds_the_chosen_day_and_what_changed_elsewhere_waits_for_its_increment(models: Models) -> None:
    models.land([_event(1, 60, "llm_call"), _event(2, 36, "llm_call"), _event(3, 1, "llm_call")])
    models.build("-s", "+llm_daily")
    # Somebody spoiled two days by hand, and a new event changed a third.
    marts = models.settings.database("marts")
    models.client.command(
        f"alter table {marts}.llm_daily update calls = 99 where 1 = 1", settings={"mutations_sync": 2}
    )
    models.land([_event(4, 1, "llm_call")])
    models.build("-s", "+llm_daily", "--exclude", "llm_daily")

    models.variables |= {"from_day": "2026-11-19", "to_day": "2026-11-19"}
    models.build("-s", "llm_daily")
    assert _events_a_day(models) == {"2026-11-18": 99, "2026-11-19": 1, "2026-11-20": 99}
    assert _builds(models, "llm_daily")[-1] == ("backfill", 1)

    models.variables.clear()
    models.build("-s", "llm_daily")
    assert _events_a_day(models) == {"2026-11-18": 99, "2026-11-19": 1, "2026-11-20": 2}, "the increment was forgotten"

    # Rows of raw go after some time: rebuilt from what is left of it, an old day would be emptied.
    models.variables |= {"from_day": "2026-01-01", "to_day": "2026-01-01"}
    with pytest.raises(AssertionError, match="would lose rows that are gone from raw"):
        models.build("-s", "int_agent_events")


def test_a_build_waits_for_one_that_holds_its_tables_and_names_it(models: Models) -> None:
    models.land([_event(1, 1)])
    models.build("-s", *CHAIN)
    _say(models, "taken", 0)
    models.variables["build_lock_lease_s"] = 600
    models.settings = models.settings.model_copy(update={"build_wait_s": 0.0})
    try:
        with pytest.raises(AssertionError, match="is being built by make build"):
            models.build("-s", "int_clock_ticks")
        _say(models, "released", 0)
        models.build("-s", "int_clock_ticks")
    finally:
        models.settings = models.settings.model_copy(update={"build_wait_s": 900.0})
    assert len(_builds(models, "int_clock_ticks")) == 2


def test_what_a_dead_build_held_is_taken_over_and_who_comes_back_from_the_dead_stops(models: Models) -> None:
    models.land([_event(1, 1)])
    models.build("-s", *CHAIN)
    _say(models, "taken", 3600)
    models.build("-s", "int_clock_ticks")
    assert len(_builds(models, "int_clock_ticks")) == 2
    with _taken_over_meanwhile(models), pytest.raises(AssertionError, match="so that no table is built twice at once"):
        models.build("-s", *CHAIN)


@contextmanager
def _taken_over_meanwhile(models: Models) -> Iterator[None]:
    """Somebody takes every lock as soon as the build has taken its own, as if that had been silent for long."""
    ops = models.settings.database("ops")
    client = connect(models.settings.clickhouse, connect_timeout_s=5, request_timeout_s=60)
    before = client.query(f"select count() from {ops}.build_locks").result_rows

    def take() -> None:
        while client.query(f"select count() from {ops}.build_locks").result_rows == before:
            pass
        _say(models, "taken", 0, "somebody else", generation=1 << 40)

    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        client.close()
