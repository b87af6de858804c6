"""When which models are built: a job a family and their schedules, and the jobs a person starts.

Jobs tagged `meterhouse/build: arrivals` build what landed since the last build; their partition is the UTC day of their
tick, under which Dagster notes it. `backfill_days` has no such tag: it rebuilds exactly the days chosen.
"""

from collections.abc import Mapping
from typing import Final

from dagster import (
    AssetKey,
    AssetSelection,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    define_asset_job,
    schedule,
)

from orchestration.defs.dbt.assets import PROJECT, dbt_models
from orchestration.defs.quality.freshness import JUDGES
from orchestration.lib.building import ARRIVALS, ASKS_FIRST, BUILD_TAG, FULL
from orchestration.lib.environments import schedule_status
from orchestration.lib.families import RHYTHMS, TIME_ZONE, Family, Node, family_of
from orchestration.lib.translator import PRICE_SEEDS
from orchestration.lib.unfinished import unfinished_runs

# One run at a time of each value, and few heavy ones beside the family that alerts stand on: dagster.yaml.
ONE_AT_A_TIME: Final = "meterhouse/one_at_a_time"
HEAVY: Final = {"meterhouse/weight": "heavy"}


def _keys(*families: Family, views: bool = True, only_bucketed: bool = False) -> list[AssetKey]:
    def is_wanted(node: Node) -> bool:
        return family_of(node) in families and (views or not node.is_view) and (node.is_bucketed or not only_bucketed)

    return [key for key, node in PROJECT.nodes.items() if is_wanted(node)]


_MODELS: Final = (Family.FAST, Family.HOURLY, Family.DAILY)
_FAST: Final = _keys(Family.FAST)
_TABLES: Final = _keys(Family.HOURLY, views=False)
_HOURLY: Final = AssetSelection.assets(*_keys(Family.HOURLY))
_DAILY: Final = AssetSelection.assets(*_keys(Family.DAILY))
_PRICES: Final = AssetSelection.assets(*[key for key in _keys(Family.SEEDS) if key.path[-1] in PRICE_SEEDS])


def _fresh(keys: list[AssetKey]) -> AssetSelection:
    """Freshness by the watermark of what a run builds: a few queries for all of it.

    Dagster's page knows the result of a check for the materialization it came after and for no later one. So a run that
    materializes a table says of it what it can afford to find out.
    """
    return AssetSelection.checks(*[check for check in JUDGES if check.asset_key in keys])


def _tests(keys: list[AssetKey]) -> AssetSelection:
    return AssetSelection.checks(*[check for check in PROJECT.tests if check.asset_key in keys])


def _arrivals(name: str, **more: str) -> Mapping[str, str]:
    """Tags of a job that builds what landed."""
    weight = {} if name == "fast" else HEAVY
    return {BUILD_TAG: ARRIVALS, ONE_AT_A_TIME: name, **weight, **more}


JOBS: Final = (
    define_asset_job(
        "fast",
        AssetSelection.assets(*_FAST).without_checks() | _fresh(_FAST),
        description="Minute rollups, objectives and alerts: what landed, every minute",
        tags=_arrivals("fast"),
    ),
    define_asset_job(
        "marts",
        AssetSelection.assets(*_TABLES).without_checks() | _tests(_TABLES) | _fresh(_TABLES),
        description="The hourly family's tables with their tests: what landed, on arrival",
        tags=_arrivals("marts"),
    ),
    define_asset_job(
        "hourly",
        _HOURLY | AssetSelection.checks_for_assets(*_FAST),
        description="The hourly family and every view, behind the checks of what it is built from; what fails a check "
        "stops it",
        tags=_arrivals("hourly"),
    ),
    define_asset_job(
        "daily",
        _DAILY | AssetSelection.checks_for_assets(*_keys(Family.SEEDS)),
        description="The heavy models",
        tags=_arrivals("daily"),
    ),
    define_asset_job(
        "everything",
        AssetSelection.all(),
        description="Raw, prices, seeds, every model and every check, once through: after an installation or a deploy",
        tags=_arrivals("everything"),
    ),
    define_asset_job(
        "price_restatement",
        (_PRICES | _PRICES.downstream()) & AssetSelection.assets(dbt_models),
        description="Reads the price seeds and rebuilds the hours whose calls cost something else by them. Dry run by "
        "default",
        tags=_arrivals("price_restatement", **ASKS_FIRST),
    ),
    define_asset_job(
        "full_refresh",
        AssetSelection.assets(*_keys(*_MODELS)).without_checks(),
        description="Rebuilds every bucket from what raw still keeps. Says what that is first: dry run by default",
        tags=_arrivals("full_refresh", **{**ASKS_FIRST, BUILD_TAG: FULL}),
    ),
    define_asset_job(
        "backfill_days",
        AssetSelection.assets(*_keys(*_MODELS, only_bucketed=True)).without_checks(),
        description="Rebuilds the chosen days of every table built by days, in their order",
        tags={ONE_AT_A_TIME: "backfill_days", **HEAVY},
    ),
)


def _schedule(name: str, job: str, family: Family) -> ScheduleDefinition:
    rhythm = RHYTHMS[family]

    @schedule(
        name=name,
        job_name=job,
        cron_schedule=rhythm.cron,
        execution_timezone=TIME_ZONE,
        default_status=schedule_status(name),
        description=f"{job}: {rhythm.words}. Skips while its last run goes on.",
    )
    def tick(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
        running = unfinished_runs(context.instance, job)
        if running:
            return SkipReason(
                f"{len(running)} still under way, first {running[0]}: it builds what arrived meanwhile too"
            )
        at = context.scheduled_execution_time
        return RunRequest(run_key=at.isoformat(), partition_key=at.strftime("%Y-%m-%d"))

    return tick


SCHEDULES: Final = (
    _schedule("fast_every_minute", "fast", Family.FAST),
    _schedule("hourly", "hourly", Family.HOURLY),
    _schedule("daily", "daily", Family.DAILY),
)
