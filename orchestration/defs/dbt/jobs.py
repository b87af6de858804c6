"""When which models are built: a job a family and their schedules, and the jobs a person starts.

Jobs tagged `meterhouse/build: arrivals` build what landed since the last build; their partition is the UTC day of their
tick, under which Dagster notes it. `backfill_days` has no such tag: it rebuilds exactly the days chosen.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dagster import (
    AssetKey,
    AssetSelection,
    DagsterInstance,
    DagsterRunStatus,
    RunRequest,
    RunsFilter,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    define_asset_job,
    schedule,
)
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from orchestration.defs.dbt.assets import PROJECT, dbt_models
from orchestration.first_build import TAG as FIRST_BUILD_TAG
from orchestration.lib.building import ARRIVALS, ASKS_FIRST, BUILD_TAG, FULL
from orchestration.lib.environments import schedule_status
from orchestration.lib.families import RHYTHMS, TIME_ZONE, Family, Node, family_of
from orchestration.lib.translator import PRICE_SEEDS
from orchestration.serve import NOTHING_BUILT

# One run at a time of each value, and few heavy ones beside the family that alerts stand on: dagster.yaml.
ONE_AT_A_TIME: Final = "meterhouse/one_at_a_time"
HEAVY: Final = {"meterhouse/weight": "heavy"}
UNFINISHED: Final = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


def _keys(*families: Family, views: bool = True, only_bucketed: bool = False) -> list[AssetKey]:
    def is_wanted(node: Node) -> bool:
        return family_of(node) in families and (views or not node.is_view) and (node.is_bucketed or not only_bucketed)

    return [key for key, node in PROJECT.nodes.items() if is_wanted(node)]


_MODELS: Final = (Family.FAST, Family.HOURLY, Family.DAILY)
_FAST: Final = AssetSelection.assets(*_keys(Family.FAST))
_HOURLY: Final = AssetSelection.assets(*_keys(Family.HOURLY))
_DAILY: Final = AssetSelection.assets(*_keys(Family.DAILY))
_PRICES: Final = AssetSelection.assets(*[key for key in _keys(Family.SEEDS) if key.path[-1] in PRICE_SEEDS])


def _arrivals(name: str, selection: AssetSelection, description: str, **more: str) -> UnresolvedAssetJobDefinition:
    weight = {} if name == "fast" else HEAVY
    tags = {BUILD_TAG: ARRIVALS, ONE_AT_A_TIME: name, **weight, **more}
    return define_asset_job(name, selection, description=description, tags=tags)


fast = _arrivals("fast", _FAST.without_checks(), "Minute rollups, objectives and alerts: what landed, every minute")
marts = _arrivals(
    "marts",
    AssetSelection.assets(*_keys(Family.HOURLY, views=False)).without_checks(),
    "The hourly family's tables, without checks: what landed, on arrival",
)
hourly = _arrivals(
    "hourly",
    _HOURLY | AssetSelection.checks_for_assets(*_keys(Family.FAST)),
    "The hourly family and every view, behind the checks of what it is built from; what fails a check stops it",
)
daily = _arrivals("daily", _DAILY | AssetSelection.checks_for_assets(*_keys(Family.SEEDS)), "The heavy models")
everything = _arrivals(
    "everything",
    AssetSelection.all(),
    "Raw, prices, seeds, every model and every check, once through: after an installation or a deploy",
)
price_restatement = _arrivals(
    "price_restatement",
    (_PRICES | _PRICES.downstream()) & AssetSelection.assets(dbt_models),
    "Reads the price seeds and rebuilds the hours whose calls cost something else by them. Dry run by default",
    **ASKS_FIRST,
)
full_refresh = _arrivals(
    "full_refresh",
    AssetSelection.assets(*_keys(*_MODELS)).without_checks(),
    "Rebuilds every bucket from what raw still keeps. Says what that is first: dry run by default",
    **{**ASKS_FIRST, BUILD_TAG: FULL},
)
backfill_days = define_asset_job(
    "backfill_days",
    AssetSelection.assets(*_keys(*_MODELS, only_bucketed=True)).without_checks(),
    description="Rebuilds the chosen days of every table built by days, in their order",
    tags={ONE_AT_A_TIME: "backfill_days", **HEAVY},
)
JOBS: Final[Sequence[UnresolvedAssetJobDefinition]] = (
    fast, marts, hourly, daily, everything, price_restatement, full_refresh, backfill_days,
)  # fmt: skip


def unfinished_runs(instance: DagsterInstance, *jobs: str) -> list[str]:
    """Runs that have not ended, as `job run-id`: of these jobs, and the first build of all.

    Before that one has ended, what a family stands on may not be there yet.
    """
    if instance.root_directory and (Path(instance.root_directory) / NOTHING_BUILT).exists():
        return ["the first build, which `meterhouse up` is about to start"]
    filters = [RunsFilter(job_name=job, statuses=UNFINISHED) for job in jobs]
    filters.append(RunsFilter(tags={FIRST_BUILD_TAG: "true"}, statuses=UNFINISHED))
    found = {run.run_id: run.job_name for one in filters for run in instance.get_runs(one, limit=5)}
    return [f"{job} {run_id[:8]}" for run_id, job in found.items()]


def _schedule(name: str, job: UnresolvedAssetJobDefinition, family: Family) -> ScheduleDefinition:
    rhythm = RHYTHMS[family]

    @schedule(
        name=name,
        job=job,
        cron_schedule=rhythm.cron,
        execution_timezone=TIME_ZONE,
        default_status=schedule_status(name),
        description=f"{job.name}: {rhythm.words}. Skips while its last run goes on.",
    )
    def tick(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
        running = unfinished_runs(context.instance, job.name)
        if running:
            return SkipReason(
                f"{len(running)} still under way, first {running[0]}: it builds what arrived meanwhile too"
            )
        at = context.scheduled_execution_time
        return RunRequest(run_key=at.isoformat(), partition_key=at.strftime("%Y-%m-%d"))

    return tick


SCHEDULES: Final = (
    _schedule("fast_every_minute", fast, Family.FAST),
    _schedule("hourly", hourly, Family.HOURLY),
    _schedule("daily", daily, Family.DAILY),
)
