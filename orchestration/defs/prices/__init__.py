"""The dated price lists: refreshed from the installed package, with what changed and what of the past it would change.

Writing the seeds changes no number yet. The check `prices_are_in_use` says what is due; the job price_restatement does
it.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
    Config,
    Definitions,
    Failure,
    MaterializeResult,
    MetadataValue,
    RunRequest,
    ScheduleEvaluationContext,
    asset,
    define_asset_job,
    schedule,
)
from pydantic import Field

from ingest.building.dbt import project_folder
from orchestration.lib.environments import schedule_status
from orchestration.lib.families import TIME_ZONE
from orchestration.lib.price_changes import pending
from orchestration.lib.resources import Clock, MeterhouseResource
from orchestration.lib.translator import PRICES

CHECK: Final = "prices_are_in_use"
_SHOWN: Final = 50


class PricesConfig(Config):
    """How the seeds are refreshed."""

    dry_run: bool = Field(default=False, description="Say what would change and write nothing")
    restate: bool = Field(default=False, description="Take the package's view of the past too")


@asset(
    key=PRICES,
    group_name="prices",
    kinds={"python"},
    owners=["team:finance"],
    description="Dated list prices and names from the installed genai-prices in the seeds (docs/prices.md). Rows are "
    "added and closed, never rewritten.",
    check_specs=[
        AssetCheckSpec(
            CHECK, asset=PRICES, description="The warehouse prices by what the seeds say; else a restatement is due"
        )
    ],
)
def model_prices(
    context: AssetExecutionContext, config: PricesConfig, meterhouse: MeterhouseResource, clock: Clock
) -> Iterator[MaterializeResult[None]]:
    """Brings the seeds up to the package."""
    from ingest.prices.update import plan_update

    seeds = project_folder() / "seeds"
    update = plan_update(seeds, clock.now().date(), restate=config.restate)
    try:
        written = [] if config.dry_run else update.write()
    except OSError as error:
        raise Failure(
            f"{error.filename or seeds} cannot be written ({error.strerror}): where the project is read-only, refresh "
            "prices in the repository (`meterhouse prices`) and deploy, or run this with dry_run.",
            allow_retries=False,
        ) from error
    with meterhouse.client() as client:
        due = pending(client, meterhouse.settings, seeds)
    context.log.info(due.words)
    kinds = Counter(change.kind for change in update.changes)
    lines = [f"| {change.kind} | {' '.join(change.key)} | {change.sentence} |" for change in update.changes[:_SHOWN]]
    yield MaterializeResult(
        asset_key=PRICES,
        metadata={
            "package": update.catalogue.version,
            **{f"models_{kind}": number for kind, number in sorted(kinds.items())},
            "files_written": len(written),
            "changes": MetadataValue.md("\n".join(["| what | model | |", "| --- | --- | --- |", *lines])),
            "needs_restatement": due.words,
            "models_to_restate": len(due.models),
            "hours_to_restate": due.hours,
        },
        check_results=[
            AssetCheckResult(
                check_name=CHECK,
                passed=not due.models,
                severity=AssetCheckSeverity.WARN,
                metadata={"models": len(due.models), "hours": due.hours, "says": due.words},
            )
        ],
    )


prices_job = define_asset_job("prices", [PRICES], description="Refreshes the price seeds; restates nothing")


@schedule(
    name="prices",
    job=prices_job,
    cron_schedule="10 4 * * *",
    execution_timezone=TIME_ZONE,
    default_status=schedule_status("prices"),
    description="Daily, 04:10 UTC",
)
def prices_daily(context: ScheduleEvaluationContext) -> RunRequest:
    return RunRequest(run_key=context.scheduled_execution_time.isoformat())


definitions = Definitions(assets=[model_prices], jobs=[prices_job], schedules=[prices_daily])
