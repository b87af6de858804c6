"""Runs of Dagster that failed, as signals: one a job that has failed and has not succeeded since.

Read from the instance at each tick, not from an event that comes once, so that a killed daemon misses nothing. A run
that Dagster will retry has not failed yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from dagster import DagsterInstance, DagsterRunStatus, RunRecord, RunsFilter

from orchestration.lib.alerts.model import Signal
from orchestration.lib.alerts.places import utc

RULE: Final = "run_failed"
_LOOKS_BACK: Final = timedelta(days=7)
_MOST_FAILURES: Final = 500
_WILL_RETRY: Final = "dagster/will_retry"
# What is started from the UI or by a sensor over assets has no name of its own.
_NAMELESS: Final = "__ASSET_JOB"


@dataclass(frozen=True, slots=True)
class FailedRuns:
    """The signals; the newest failed runs of their jobs in words; how many jobs were looked at."""

    signals: tuple[Signal, ...]
    newest: tuple[str, ...]
    jobs: int


def failed_runs(instance: DagsterInstance, now: datetime) -> FailedRuns:
    """Jobs whose newest finished run failed, of the last seven days."""
    records = instance.get_run_records(
        RunsFilter(statuses=[DagsterRunStatus.FAILURE], updated_after=now - _LOOKS_BACK), limit=_MOST_FAILURES
    )
    by_job: dict[str, list[RunRecord]] = {}
    for record in records:
        if record.dagster_run.tags.get(_WILL_RETRY) != "true":
            by_job.setdefault(record.dagster_run.job_name, []).append(record)
    judged = {job: _signal(instance, job, found, now) for job, found in sorted(by_job.items())}
    newest = tuple(
        f"{job}: run {by_job[job][0].dagster_run.run_id[:8]} at {_ended_at(by_job[job][0]):%Y-%m-%d %H:%M} UTC"
        for job, one in judged.items()
        if one is not None
    )
    return FailedRuns(tuple(one for one in judged.values() if one is not None), newest, len(by_job))


def _signal(instance: DagsterInstance, job: str, failures: Sequence[RunRecord], now: datetime) -> Signal | None:
    succeeded = instance.get_run_records(RunsFilter(job_name=job, statuses=[DagsterRunStatus.SUCCESS]), limit=1)
    succeeded_at = _ended_at(succeeded[0]) if succeeded else datetime.min.replace(tzinfo=UTC)
    since = sorted(at for at in (_ended_at(one) for one in failures) if at > succeeded_at)
    if not since:
        return None
    subject = "assets started by hand" if job == _NAMELESS else f"job {job}"
    key, runbook = f"{RULE}//{subject}", f"docs/runbooks/{RULE}.md"
    return Signal(RULE, "ticket", "", subject, float(len(since)), 0.0, since[0], now, runbook, key)


def _ended_at(record: RunRecord) -> datetime:
    if record.end_time is not None:
        return datetime.fromtimestamp(record.end_time, UTC)
    return utc(record.update_timestamp)
