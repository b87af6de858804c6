"""When what runs: schedules of the families, and the sensor that follows arrivals."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dagster import DagsterRunStatus, build_schedule_context, instance_for_test
from dagster._core.test_utils import create_run_for_test

from orchestration.definitions import definitions
from orchestration.defs.dbt.assets import PROJECT
from orchestration.defs.dbt.jobs import SCHEDULES
from orchestration.defs.quality.freshness import JUDGES
from orchestration.first_build import TAG as FIRST_BUILD_TAG
from orchestration.lib.arrivals import Cursor, Partition, decide
from orchestration.lib.building import ARRIVALS, BUILD_TAG
from orchestration.serve import NOTHING_BUILT

NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)
EVERY_S = 300


def partitions(*offsets: int, lag: int = 0, topic_id: str = "t1") -> list[Partition]:
    return [
        Partition("agent_events", topic_id, number, offset, lag, NOW - timedelta(seconds=2), NOW)
        for number, offset in enumerate(offsets)
    ]


def test_every_schedule_says_its_time_zone() -> None:
    zones = {one.name: one.execution_timezone for one in definitions.get_repository_def().schedule_defs}
    assert set(zones.values()) == {"UTC"}, zones


def test_a_schedules_run_is_of_the_day_it_was_scheduled_for_and_builds_what_arrived() -> None:
    midnight = datetime(2026, 11, 21, tzinfo=UTC)
    with instance_for_test() as instance:
        for schedule in SCHEDULES:
            context = build_schedule_context(instance, midnight, repository_def=definitions.get_repository_def())
            ticked = schedule.evaluate_tick(context)
            assert ticked.run_requests is not None
            (request,) = ticked.run_requests
            assert request.partition_key == "2026-11-21"
            job = definitions.resolve_job_def(schedule.job_name)
            assert job.tags[BUILD_TAG] == ARRIVALS


def test_a_run_that_materializes_a_table_evaluates_its_checks_too_or_the_page_would_say_they_never_were() -> None:
    every = set(definitions.resolve_asset_graph().asset_check_keys)
    # Of what is built each minute, dbt's tests are run hourly.
    for name, kinds in (("marts", {*PROJECT.tests, *JUDGES}), ("fast", {*JUDGES})):
        graph = definitions.resolve_job_def(name).asset_layer.asset_graph
        due = {check for check in every & kinds if check.asset_key in graph.executable_asset_keys}
        assert len(due) > 30
        assert set(graph.asset_check_keys) == due


@pytest.mark.parametrize("status", [DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTED], ids=["new", "started"])
def test_a_minute_in_which_the_last_run_goes_on_is_skipped_and_the_tick_says_which(status: DagsterRunStatus) -> None:
    with instance_for_test() as instance:
        run = create_run_for_test(instance, job_name="fast", status=status)
        context = build_schedule_context(instance, NOW, repository_def=definitions.get_repository_def())
        ticked = SCHEDULES[0].evaluate_tick(context)
        assert not ticked.run_requests
        assert run.run_id[:8] in str(ticked.skip_message)


def test_while_all_is_built_for_the_first_time_no_family_starts_for_what_it_stands_on_is_not_there_yet() -> None:
    with instance_for_test() as instance:
        first = create_run_for_test(
            instance, job_name="everything", status=DagsterRunStatus.STARTED, tags={FIRST_BUILD_TAG: "true"}
        )
        for schedule in SCHEDULES:
            context = build_schedule_context(instance, NOW, repository_def=definitions.get_repository_def())
            ticked = schedule.evaluate_tick(context)
            assert not ticked.run_requests
            assert f"everything {first.run_id[:8]}" in str(ticked.skip_message)


def test_in_a_home_that_is_new_no_family_starts_before_the_build_of_everything_has_ended() -> None:
    with instance_for_test() as instance:
        marker = Path(instance.root_directory) / NOTHING_BUILT
        marker.touch()
        context = build_schedule_context(instance, NOW, repository_def=definitions.get_repository_def())
        ticked = SCHEDULES[0].evaluate_tick(context)
        assert not ticked.run_requests
        assert "the first build" in str(ticked.skip_message)
        marker.unlink()
        assert SCHEDULES[0].evaluate_tick(context).run_requests


@pytest.mark.parametrize(
    ("status", "starts"), [(DagsterRunStatus.FAILURE, False), (DagsterRunStatus.SUCCESS, True)], ids=["died", "ended"]
)
def test_families_start_without_up_once_the_build_it_began_has_ended_well_and_not_where_that_died(
    status: DagsterRunStatus, starts: bool
) -> None:
    with instance_for_test() as instance:
        (Path(instance.root_directory) / NOTHING_BUILT).touch()
        create_run_for_test(instance, job_name="everything", status=status, tags={FIRST_BUILD_TAG: "true"})
        context = build_schedule_context(instance, NOW, repository_def=definitions.get_repository_def())
        assert bool(SCHEDULES[0].evaluate_tick(context).run_requests) is starts


def test_marts_are_started_when_something_landed_and_not_again_when_nothing_did() -> None:
    first = decide(Cursor(), partitions(10, 5, 0), NOW, [], EVERY_S)
    assert first.run_key
    assert "15 messages landed" in first.words
    later = decide(first.cursor, partitions(10, 5, 0), NOW + timedelta(hours=1), [], EVERY_S)
    assert later.run_key is None
    assert "nothing landed" in later.words
    assert "3 partitions, lag 0, complete to 2026-11-20 12:00:28 UTC" in later.words


def test_marts_wait_for_their_time_and_for_their_last_run_and_then_build_all_that_landed_meanwhile() -> None:
    cursor = decide(Cursor(), partitions(10), NOW, [], EVERY_S).cursor
    soon = decide(cursor, partitions(30), NOW + timedelta(seconds=60), [], EVERY_S)
    assert (soon.run_key, "due in 240 s" in soon.words) == (None, True)
    busy = decide(soon.cursor, partitions(40), NOW + timedelta(seconds=400), ["marts 1a2b3c4d"], EVERY_S)
    assert (busy.run_key, "marts 1a2b3c4d is under way" in busy.words) == (None, True)
    free = decide(busy.cursor, partitions(40), NOW + timedelta(seconds=430), [], EVERY_S)
    assert free.run_key
    assert free.words.startswith("30 messages landed")


def test_a_clock_that_was_set_back_holds_marts_up_no_longer_than_a_right_one() -> None:
    cursor = decide(Cursor(), partitions(10), NOW, [], EVERY_S).cursor
    set_back = decide(cursor, partitions(20), NOW - timedelta(hours=3), [], EVERY_S)
    assert (bool(set_back.run_key), set_back.is_observed) == (True, True)
    soon = decide(set_back.cursor, partitions(30), NOW - timedelta(hours=3, seconds=-60), [], EVERY_S)
    assert (soon.run_key, "due in 240 s" in soon.words) == (None, True)


def test_a_tick_that_is_repeated_after_a_crash_asks_for_the_same_run() -> None:
    cursor = decide(Cursor(), partitions(10), NOW, [], EVERY_S).cursor
    once = decide(cursor, partitions(20), NOW + timedelta(seconds=600), [], EVERY_S)
    again = decide(cursor, partitions(20), NOW + timedelta(seconds=605), [], EVERY_S)
    assert once.run_key == again.run_key
    assert once.run_key != decide(cursor, partitions(21), NOW + timedelta(seconds=605), [], EVERY_S).run_key


def test_a_topic_made_anew_counts_from_its_own_first_offset() -> None:
    cursor = decide(Cursor(), partitions(1_000), NOW, [], EVERY_S).cursor
    anew = decide(cursor, partitions(3, topic_id="t2"), NOW + timedelta(hours=1), [], EVERY_S)
    assert anew.run_key
    assert anew.words.startswith("3 messages landed")


def test_a_loader_that_landed_nothing_is_observed_now_and_then_all_the_same() -> None:
    cursor = decide(Cursor(), partitions(10), NOW, [], EVERY_S).cursor
    assert not decide(cursor, partitions(10, lag=7), NOW + timedelta(seconds=30), [], EVERY_S).is_observed
    assert decide(cursor, partitions(10, lag=7), NOW + timedelta(seconds=301), [], EVERY_S).is_observed


def test_a_cursor_of_another_version_begins_anew() -> None:
    assert Cursor.read("42") == Cursor.read(None) == Cursor()


def test_before_anything_was_loaded_nothing_starts() -> None:
    decision = decide(Cursor(), [], NOW, [], EVERY_S)
    assert (decision.run_key, decision.is_observed) == (None, False)
