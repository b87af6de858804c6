"""When the checks run by themselves. All times are UTC; a tick skips while the job's last run goes on."""

from typing import Final

from dagster import (
    AssetCheckKey,
    AssetKey,
    AssetSelection,
    RunRequest,
    RunsFilter,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    define_asset_job,
    schedule,
)
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from orchestration.defs.dbt.jobs import UNFINISHED
from orchestration.defs.quality.expectations import SUITES
from orchestration.defs.quality.freshness import JUDGES
from orchestration.defs.quality.pipeline import ENTRIES
from orchestration.lib.environments import schedule_status
from orchestration.lib.families import TIME_ZONE

_SLOW: Final = frozenset({"completeness"})
_DAILY: Final = frozenset({"price_table_age", "manifest_drift"})


def _entries(names: frozenset[str]) -> list[AssetCheckKey]:
    return [AssetCheckKey(AssetKey(one.asset), one.name) for one in ENTRIES if one.name in names]


def _job(name: str, keys: list[AssetCheckKey], description: str) -> UnresolvedAssetJobDefinition:
    return define_asset_job(name, AssetSelection.checks(*keys), description=description)


_QUICK: Final = frozenset(one.name for one in ENTRIES) - _SLOW - _DAILY
check_pipeline = _job(
    "check_pipeline", [*_entries(_QUICK), *JUDGES], "Lag, rejects, parts, disk, and freshness of every table"
)
check_completeness = _job(
    "check_completeness", _entries(_SLOW), "Every offset of the last days: landed, a dead letter, or missing"
)
check_expectations = _job("check_expectations", list(SUITES), "The suites over the newest complete hour")
check_house = _job("check_house", _entries(_DAILY), "The price table's age, and dbt's manifest against the database")
JOBS: Final = (check_pipeline, check_completeness, check_expectations, check_house)


def _schedule(job: UnresolvedAssetJobDefinition, cron: str, words: str) -> ScheduleDefinition:
    @schedule(
        name=f"{job.name}_{words.replace(' ', '_')}",
        job=job,
        cron_schedule=cron,
        execution_timezone=TIME_ZONE,
        default_status=schedule_status(f"{job.name}_{words.replace(' ', '_')}"),
        description=f"{job.description}: {words.replace('_', ' ')}.",
    )
    def tick(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
        running = context.instance.get_runs(RunsFilter(job_name=job.name, statuses=UNFINISHED), limit=5)
        if running:
            return SkipReason(f"{len(running)} runs of {job.name} still under way, first {running[0].run_id[:8]}")
        return RunRequest(run_key=context.scheduled_execution_time.isoformat())

    return tick


SCHEDULES: Final = (
    _schedule(check_pipeline, "*/10 * * * *", "every ten minutes"),
    # Late enough for the models to have the hour before.
    _schedule(check_expectations, "25 * * * *", "hourly"),
    _schedule(check_completeness, "40 * * * *", "hourly"),
    _schedule(check_house, "50 4 * * *", "daily"),
)
