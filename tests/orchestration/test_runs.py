"""Runs of Dagster on real tables: Kafka drained, models built with numbers, a day built anew, a failed check stops.

One house for the file: what it costs is dbt's start, so each run serves several tests.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from clickhouse_connect.driver.client import Client
from dagster import (
    AssetKey,
    AssetMaterialization,
    DagsterInstance,
    DagsterRunStatus,
    ExecuteInProcessResult,
    SensorResult,
    build_sensor_context,
    instance_for_test,
    materialize,
)
from dagster._core.test_utils import create_run_for_test

from ingest.errors import MeterhouseError
from ingest.schema.engines import Layout
from ingest.schema.migrate import migrate
from ingest.settings import Settings, load_settings
from ingest.simulate import SimulationConfig, play
from ingest.warehouse import connect
from orchestration.definitions import definitions
from orchestration.defs.dbt.assets import dbt_models
from orchestration.defs.ingest.jobs import replay_dead_letters
from orchestration.defs.ingest.raw import drain_kafka
from orchestration.lib import manifest
from orchestration.lib.building import ARRIVALS, ASKS_FIRST, BUILD_TAG
from orchestration.lib.housekeeping import check_retention, compact, forget_runs
from orchestration.lib.raw_tables import DEAD_LETTERS, EVENTS, OTLP
from orchestration.lib.resources import Clock, MeterhouseResource
from tests.conftest import Broker, drop_databases, remove_topics
from tests.support.shared import Engine

# The shortest way from raw to a mart that is built from buckets.
CHAIN = [
    AssetKey(path.split("/"))
    for path in (
        "staging/stg_agent__events",
        "staging/stg_loading__batches",
        "intermediate/int_completeness_looks",
        "intermediate/int_event_firsts",
        "intermediate/int_arrival_hours",
        "intermediate/int_arrivals_1m",
        "marts/pipeline_health",
    )
]
ARRIVALS_1M, HEALTH = CHAIN[5], CHAIN[6]
VALID, MALFORMED = 400, 8


@dataclass
class House:
    """Databases and topics of this file's own, and an instance of Dagster."""

    settings: Settings
    client: Client
    instance: DagsterInstance
    today: str

    def run(
        self,
        keys: list[AssetKey],
        *,
        tags: dict[str, str] | None = None,
        day: str | None = None,
    ) -> ExecuteInProcessResult:
        # The assets as they are defined, before the definitions bind them to the environment's resources.
        return materialize(
            [drain_kafka, dbt_models],
            selection=keys,
            instance=self.instance,
            partition_key=day,
            tags=tags,
            resources={"meterhouse": MeterhouseResource.of(self.settings), "clock": Clock()},
            raise_on_error=False,
        )

    def tick(self, cursor: str | None) -> SensorResult:
        repository = definitions.get_repository_def()
        context = build_sensor_context(
            self.instance,
            cursor=cursor,
            repository_def=repository,
            resources={"meterhouse": MeterhouseResource.of(self.settings), "clock": Clock()},
        )
        result = repository.get_sensor_def("arrivals")(context)
        assert isinstance(result, SensorResult)
        return result

    def last_build(self, model: str) -> tuple[str, int]:
        ops = self.settings.database("ops")
        mode, buckets = self.client.query(
            f"select mode, buckets from {ops}.model_builds where model = '{model}' order by built_at desc limit 1"
        ).result_rows[0]
        return str(mode), int(buckets)

    def hours_changed(self, day: str | None = None) -> int:
        """Hours the log of arrivals names: in the first ten minutes of an hour also the one before it."""
        log = f"{self.settings.database('intermediate')}.int_arrival_hours"
        where = f"where toDate(bucket_at, 'UTC') = '{day}'" if day else ""
        return int(self.client.query(f"select uniqExact(bucket_at) from {log} {where}").result_rows[0][0])


@pytest.fixture(scope="module")
def house(engine: Engine, broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    prefix = f"t{uuid.uuid4().hex[:10]}_"
    settings = load_settings(
        home=tmp_path_factory.mktemp("dagster"),
        clickhouse_url=engine.url,
        kafka_bootstrap=broker.bootstrap,
        kafka_options={"session.timeout.ms": "6000", "heartbeat.interval.ms": "1500"},
        database_prefix=prefix,
        topic_prefix=prefix,
        consumer_group=f"{prefix}loader",
        log_level="WARNING",
    )
    client = connect(settings.clickhouse, connect_timeout_s=5, request_timeout_s=60)
    migrate(client, Layout(settings.database_prefix, "", settings.retention_days))
    now = datetime.now(UTC)
    play.play(
        SimulationConfig(
            end_ms=int(now.timestamp()) // 60 * 60_000, events=VALID, hours=2, seed=3, malformed_rate=MALFORMED / VALID
        ),
        settings=settings,
    )
    manifest.prepare(settings)
    instance = DagsterInstance.local_temp(str(tmp_path_factory.mktemp("instance")))
    yield House(settings, client, instance, f"{now:%Y-%m-%d}")
    remove_topics(settings)
    drop_databases(settings)
    client.close()


@pytest.fixture(scope="module")
def drained(house: House) -> ExecuteInProcessResult:
    result = house.run([EVENTS, DEAD_LETTERS, *OTLP])
    assert result.success
    return result


@pytest.fixture(scope="module")
def built(house: House, drained: ExecuteInProcessResult) -> ExecuteInProcessResult:
    assert drained.success
    result = house.run(CHAIN, tags={BUILD_TAG: ARRIVALS}, day=house.today)
    assert result.success
    return result


def numbers(result: ExecuteInProcessResult, key: AssetKey) -> dict[str, object]:
    for event in result.get_asset_materialization_events():
        if event.asset_key == key:
            metadata = event.step_materialization_data.materialization.metadata
            return {name: value.value for name, value in metadata.items()}
    return {}


def test_materializing_raw_lands_all_that_kafka_held_and_says_what_was_refused(
    house: House, drained: ExecuteInProcessResult
) -> None:
    rows, refused = house.client.query(
        f"select (select uniqExact(event_id) from {house.settings.database('raw')}.agent_events), "
        f"(select count() from {house.settings.database('raw')}.dead_letters)"
    ).result_rows[0]
    said = numbers(drained, EVENTS)
    assert rows == VALID
    assert (said["rejected"], said["lag_messages"], said["lost"]) == (refused, 0, 0)
    assert refused > 0
    assert said["rows_landed"] == said["dagster/row_count"]
    assert numbers(drained, DEAD_LETTERS)["rows_landed"] == refused
    # Tables nobody sends to are there, and empty: else the first build would ask for them for ever.
    assert {numbers(drained, key)["dagster/row_count"] for key in OTLP} == {0}


def test_a_drain_of_nothing_new_lands_nothing_and_ends(house: House, drained: ExecuteInProcessResult) -> None:
    again = house.run([EVENTS])  # one table may be asked for alone
    assert again.success
    assert numbers(again, DEAD_LETTERS) == {}
    assert (numbers(again, EVENTS)["messages"], numbers(again, EVENTS)["rows_landed"]) == (0, 0)
    assert numbers(again, EVENTS)["dagster/row_count"] == numbers(drained, EVENTS)["dagster/row_count"]


def test_the_sensor_observes_what_landed_once_and_starts_nothing_when_nothing_came(
    house: House, drained: ExecuteInProcessResult
) -> None:
    landed = numbers(drained, EVENTS)["rows_landed"]
    first = house.tick(None)
    assert [request.partition_key for request in first.run_requests or ()] == [house.today]
    observed = {event.asset_key: event for event in first.asset_events}
    assert observed[EVENTS].metadata["rows_landed"].value == landed
    assert observed[EVENTS].metadata["lag_messages"].value == 0
    assert observed[DEAD_LETTERS].metadata["rejected"].value == numbers(drained, EVENTS)["rejected"]
    # Also where the loader is a service and no drain ever ran, the table's page says how large it is.
    noted = {one.asset_key: one for one in first.asset_events if isinstance(one, AssetMaterialization)}
    assert noted[EVENTS].metadata["dagster/row_count"].value == numbers(drained, EVENTS)["dagster/row_count"]
    assert not set(OTLP) & set(observed)
    second = house.tick(first.cursor)
    assert (not second.run_requests, list(second.asset_events)) == (True, [])
    assert "nothing landed" in str(second.skip_reason)


def test_a_build_says_rows_buckets_and_the_day(house: House, built: ExecuteInProcessResult) -> None:
    said = numbers(built, ARRIVALS_1M)
    rows = house.client.query(f"select count() from {house.settings.database('intermediate')}.int_arrivals_1m")
    assert said["dagster/row_count"] == rows.result_rows[0][0] > 0
    assert (said["built"], said["buckets"]) == house.last_build("int_arrivals_1m") == ("full", house.hours_changed())
    assert house.instance.get_materialized_partitions(ARRIVALS_1M) == {house.today}
    assert {event.asset_key for event in built.get_asset_materialization_events()} == set(CHAIN)


def test_tests_of_dbt_are_results_of_checks_with_numbers(built: ExecuteInProcessResult) -> None:
    results = built.get_asset_check_evaluations()
    assert {one.asset_key for one in results} >= {ARRIVALS_1M, HEALTH}
    assert all(one.passed for one in results)
    assert all(one.metadata["dagster_dbt/failed_row_count"].value == 0 for one in results)


def test_what_dbt_left_of_a_good_run_is_gone_but_for_the_lineage_it_showed(
    house: House, built: ExecuteInProcessResult
) -> None:
    assert built.success
    folder = manifest.folder(house.settings)
    assert list((folder / "runs").iterdir()) == []
    assert (folder / "lineage.json").is_file()


def test_a_check_that_fails_stops_what_stands_on_it_and_a_day_chosen_in_the_page_is_built_anew(
    house: House, built: ExecuteInProcessResult
) -> None:
    assert built.success
    intermediate = house.settings.database("intermediate")
    # Two equal rows on another day, which a build of today does not touch.
    house.client.command(
        f"insert into {intermediate}.int_arrivals_1m select * replace (hour - interval 3 day as hour, "
        f"minute - interval 3 day as minute) from {intermediate}.int_arrivals_1m array join [1, 2] as twice limit 2"
    )
    result = house.run([ARRIVALS_1M, HEALTH], day=house.today)
    assert not result.success
    assert house.last_build("int_arrivals_1m") == ("backfill", house.hours_changed(house.today)) > ("backfill", 0)
    assert house.last_build("pipeline_health")[0] == "full", "built in spite of what it is built from"
    failed = [one for one in result.get_asset_check_evaluations() if not one.passed]
    assert {one.asset_key for one in failed} == {ARRIVALS_1M}
    assert {event.asset_key for event in result.get_asset_materialization_events()} == {ARRIVALS_1M}
    runs = manifest.folder(house.settings) / "runs"
    assert [one.name.split("-")[0] for one in runs.iterdir()] == [result.run_id.split("-")[0]], (
        "kept for people to read"
    )


def test_a_full_refresh_says_first_how_large_it_is_and_does_nothing(
    house: House, built: ExecuteInProcessResult, capfd: pytest.CaptureFixture[str]
) -> None:
    assert built.success
    count = f"select count() from {house.settings.database('ops')}.model_builds"
    before = house.client.query(count).result_rows
    for name in ("full_refresh", "price_restatement"):
        assert ASKS_FIRST.items() <= definitions.resolve_job_def(name).tags.items(), name
    result = house.run(CHAIN, tags=dict(definitions.resolve_job_def("full_refresh").tags), day=house.today)
    assert result.success
    assert list(result.get_asset_materialization_events()) == []
    assert house.client.query(count).result_rows == before
    assert "dry run: 7 models would be built" in capfd.readouterr().err


def test_dead_letters_are_counted_before_anybody_sends_them_back(house: House, drained: ExecuteInProcessResult) -> None:
    refused = numbers(drained, EVENTS)["rejected"]
    result = replay_dead_letters.execute_in_process(
        instance=house.instance, resources={"meterhouse": MeterhouseResource.of(house.settings), "clock": Clock()}
    )
    (handled,) = (event for event in result.all_events if event.is_successful_output)
    metadata = handled.step_output_data.metadata
    assert (metadata["would_be_sent"].value, metadata["dry_run"].value) == (refused, True)
    notes = house.client.query(f"select count() from {house.settings.database('ops')}.dead_letter_replays").result_rows
    assert notes == [(0,)]


def test_off_peak_quiet_months_are_merged_and_copies_of_them_collapse(
    house: House, drained: ExecuteInProcessResult
) -> None:
    assert drained.success
    raw = f"{house.settings.database('raw')}.agent_events"
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert compact(house.client, house.settings, datetime.now(UTC)) == [], "somebody writes to it today"
    house.client.command(f"insert into {raw} select * from {raw}", settings={"insert_deduplicate": 0})
    merged = compact(house.client, house.settings, tomorrow)
    assert sum(one.rows_before - one.rows_after for one in merged) >= VALID
    # A correction with another occurred_at is no copy: both rows stay, and dbt chooses.
    key = "(workspace_id, event_type, occurred_at, event_id)"
    rows, distinct = house.client.query(f"select count(), uniqExact({key}) from {raw}").result_rows[0]
    assert rows == distinct >= VALID
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert check_retention(house.client, house.settings).oldest_days == {"raw.agent_events": today}


def test_a_retention_that_is_not_the_settings_is_no_quiet_matter(house: House) -> None:
    other = house.settings.model_copy(update={"retention_days": 30})
    with pytest.raises(MeterhouseError, match="retention changes from 90 days to 30 days"):
        check_retention(house.client, other)


def test_old_runs_are_forgotten_each_after_its_time() -> None:
    with instance_for_test() as instance:
        for name in ("fast", "marts", "daily"):
            create_run_for_test(instance, job_name=name, status=DagsterRunStatus.SUCCESS)
        create_run_for_test(instance, job_name="fast", status=DagsterRunStatus.STARTED)
        in_three_days = datetime.now(UTC) + timedelta(days=3)
        assert forget_runs(instance, in_three_days) == 1
        assert sorted(run.job_name for run in instance.get_runs()) == ["daily", "fast", "marts"]
        assert forget_runs(instance, in_three_days + timedelta(days=7)) == 1
        assert sorted(run.job_name for run in instance.get_runs()) == ["daily", "fast"]
