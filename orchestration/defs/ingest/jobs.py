"""Jobs beside the raw tables: off-peak housekeeping, and sending dead letters back after a fix."""

import io
from datetime import datetime
from typing import Final

from dagster import (
    Config,
    OpExecutionContext,
    RunRequest,
    ScheduleEvaluationContext,
    job,
    op,
    schedule,
)
from pydantic import Field

from orchestration.lib import housekeeping as keeping
from orchestration.lib import manifest
from orchestration.lib.draining import drain
from orchestration.lib.environments import schedule_status
from orchestration.lib.families import TIME_ZONE
from orchestration.lib.resources import Clock, MeterhouseResource

# A merge of a month may take long, and nobody waits for it.
MERGE_WITHIN_S: Final = 3_600.0


@op
def compact_raw(context: OpExecutionContext, meterhouse: MeterhouseResource, clock: Clock) -> None:
    """Merges months that nobody writes to."""
    with meterhouse.client(request_timeout_s=MERGE_WITHIN_S) as client:
        merged = keeping.compact(client, meterhouse.settings, clock.now())
    for one in merged:
        context.log.info(
            "%s %s: %s parts merged, %s copies gone",
            one.table,
            one.partition,
            one.parts,
            one.rows_before - one.rows_after,
        )
    context.add_output_metadata(
        {
            "partitions": len(merged),
            "parts": sum(one.parts for one in merged),
            "copies_gone": sum(one.rows_before - one.rows_after for one in merged),
        }
    )


@op
def check_retention(context: OpExecutionContext, meterhouse: MeterhouseResource) -> None:
    """Holds what raw keeps against METERHOUSE_RETENTION_DAYS."""
    settings = meterhouse.settings
    with meterhouse.client(request_timeout_s=MERGE_WITHIN_S) as client:
        found = keeping.check_retention(client, settings)
    context.add_output_metadata(
        {"keeps_days": settings.retention_days, **{f"oldest of {name}": day for name, day in found.oldest_days.items()}}
    )


@op
def forget_old_runs(context: OpExecutionContext, meterhouse: MeterhouseResource, clock: Clock) -> None:
    """Keeps Dagster's own storage small: it has no retention of runs."""
    runs = keeping.forget_runs(context.instance, clock.now())
    folders = keeping.remove_old_folders(manifest.folder(meterhouse.settings) / "runs", clock.now())
    context.add_output_metadata({"runs_forgotten": runs, "folders_removed": folders})


@job(
    description="Merges, retention, old runs: what is done when nobody waits",
    tags={"meterhouse/one_at_a_time": "housekeeping"},
)
def housekeeping() -> None:
    compact_raw()
    check_retention()
    forget_old_runs()


@schedule(
    name="housekeeping",
    job=housekeeping,
    cron_schedule="20 3 * * *",
    execution_timezone=TIME_ZONE,
    default_status=schedule_status("housekeeping"),
    description="Off-peak, 03:20 UTC",
)
def housekeeping_nightly(context: ScheduleEvaluationContext) -> RunRequest:
    return RunRequest(run_key=context.scheduled_execution_time.isoformat())


class ReplayConfig(Config):
    """Which dead letters; empty means any. Times as `meterhouse replay dead-letters` takes them: 2h, 3d, ISO 8601."""

    dry_run: bool = Field(default=True, description="Count what would be sent and send nothing")
    reason: str = Field(default="", description="Only where the reason contains this")
    error_class: str = Field(default="", description="Only this error class, such as outside_time_window")
    since: str = Field(default="", description="Refused since: 2026-11-23T10:00Z, or 90m, 2h, 3d ago")
    until: str = Field(default="", description="Refused before; the same spellings")
    topic: str = Field(default="", description="Only those of this topic")
    workspace: str = Field(default="", description="Only those of this workspace_id")
    limit: int = Field(default=0, ge=0, description="At most so many; 0 is all")
    again: bool = Field(default=False, description="Also those that were replayed before")
    load: bool = Field(default=False, description="Land them at once, where no loader runs as a service")


@op(pool="loader")
def replay(context: OpExecutionContext, config: ReplayConfig, meterhouse: MeterhouseResource, clock: Clock) -> None:
    """Sends dead letters back to their topic and notes them, as `meterhouse replay dead-letters` does."""
    from rich.console import Console

    from ingest.loader.replay import parse_when
    from ingest.loader.replay_dead_letters import DeadLetterFilter, DeadLetterReplay

    def moment(text: str, option: str, now: datetime) -> int | None:
        return parse_when(text, option, round(now.timestamp() * 1000)) if text else None

    settings, now = meterhouse.settings, clock.now()
    wanted = DeadLetterFilter(
        reason=config.reason or None,
        error_class=config.error_class or None,
        since_ms=moment(config.since, "since", now),
        until_ms=moment(config.until, "until", now),
        topic=config.topic or None,
        workspace=config.workspace or None,
        limit=config.limit or None,
        again=config.again,
    )
    said = io.StringIO()
    with meterhouse.client() as client:
        tally = DeadLetterReplay(settings, client, wanted).run(Console(file=said, width=200), dry_run=config.dry_run)
    for line in (*said.getvalue().splitlines(), *tally.lines(dry_run=config.dry_run)):
        context.log.info(line)
    if config.load and not config.dry_run and tally.sent:
        drain(settings, f"dagster:{context.run_id}:replay", context.log.info)
    context.add_output_metadata(
        {"found": tally.found, "would_be_sent" if config.dry_run else "sent": tally.sent, "dry_run": config.dry_run}
    )


@job(
    description="Sends dead letters back to their topic after a fix. Counts them first: dry run by default",
    tags={"meterhouse/one_at_a_time": "replay_dead_letters"},
)
def replay_dead_letters() -> None:
    replay()
