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

from orchestration.defs.quality.expectations import SUITES
from orchestration.defs.quality.freshness import JUDGES
from orchestration.defs.quality.pipeline import ENTRIES
from orchestration.lib.environments import schedule_status
from orchestration.lib.families import TIME_ZONE
from orchestration.lib.unfinished import UNFINISHED

_SLOW: Final = frozenset({"completeness"})
_DAILY: Final = frozenset({"price_table_age", "manifest_drift"})
_QUICK: Final = frozenset(one.name for one in ENTRIES) - _SLOW - _DAILY


def _entries(names: frozenset[str]) -> list[AssetCheckKey]:
    return [AssetCheckKey(AssetKey(one.asset), one.name) for one in ENTRIES if one.name in names]


_CHECKS: Final = {
    "check_pipeline": [*_entries(_QUICK), *JUDGES],
    "check_completeness": _entries(_SLOW),
    "check_expectations": list(SUITES),
    "check_house": _entries(_DAILY),
}
_WORDS: Final = {
    "check_pipeline": "Lag, rejects, parts, disk, and freshness of every table",
    "check_completeness": "Every offset of the last days: landed, a dead letter, or missing",
    "check_expectations": "The suites over the newest complete hour",
    "check_house": "The price table's age, and dbt's manifest against the database",
}
JOBS: Final = tuple(
    define_asset_job(name, AssetSelection.checks(*keys), description=_WORDS[name]) for name, keys in _CHECKS.items()
)


def _schedule(job: str, cron: str, words: str) -> ScheduleDefinition:
    name = f"{job}_{words.replace(' ', '_')}"

    @schedule(
        name=name,
        job_name=job,
        cron_schedule=cron,
        execution_timezone=TIME_ZONE,
        default_status=schedule_status(name),
        description=f"{_WORDS[job]}: {words}.",
    )
    def tick(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
        running = context.instance.get_runs(RunsFilter(job_name=job, statuses=UNFINISHED), limit=5)
        if running:
            return SkipReason(f"{len(running)} runs of {job} still under way, first {running[0].run_id[:8]}")
        return RunRequest(run_key=context.scheduled_execution_time.isoformat())

    return tick


SCHEDULES: Final = (
    _schedule("check_pipeline", "*/10 * * * *", "every ten minutes"),
    # Late enough for the models to have the hour before.
    _schedule("check_expectations", "25 * * * *", "hourly"),
    _schedule("check_completeness", "40 * * * *", "hourly"),
    _schedule("check_house", "50 4 * * *", "daily"),
)
