"""One run of some assets by Dagster in this process, watched.

In: a job, which of its assets, an instance, a console. Out: what was materialized and how every check ended, in order.
What the run itself prints (Dagster's events, dbt's lines, the loader's log) goes to a file: of a terminal, only the
progress is shown. A step that fails does not raise; it is in the outcome.
"""

import contextlib
import os
import sys
import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from dagster import AssetCheckEvaluation, AssetKey, DagsterEventType, DagsterInstance, EventLogEntry, JobDefinition
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


@dataclass
class Outcome:
    """What a run did. `metadata` of each materialized asset as plain values; `seconds` of each step."""

    metadata: dict[AssetKey, Mapping[str, object]] = field(default_factory=dict)
    checks: list[AssetCheckEvaluation] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def failed_checks(self) -> list[AssetCheckEvaluation]:
        return [check for check in self.checks if not check.passed]


def execute(
    job: JobDefinition,
    keys: Collection[AssetKey],
    instance: DagsterInstance,
    console: Console,
    log: Path,
    *,
    day: str | None = None,
) -> Outcome:
    """Materializes these assets with their checks, noted under partition `day`; returns when all that could has run."""
    outcome, run_id = Outcome(), str(uuid.uuid4())
    columns = (
        TextColumn("Dagster"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[now]}"),
    )
    with _printed_to(log) as terminal:
        shown = Console(file=terminal, force_terminal=console.is_terminal, width=console.width, highlight=False)
        with Progress(*columns, console=shown, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("", total=len(keys), now="")

            def see(entry: EventLogEntry, _cursor: str | None = None) -> None:
                now = _take(entry, outcome)
                if now:
                    bar.update(task, completed=len(outcome.metadata), now=now)

            instance.add_event_listener(run_id, see)
            job.execute_in_process(
                instance=instance, run_id=run_id, raise_on_error=False, asset_selection=list(keys), partition_key=day
            )
    stats = instance.get_run_stats(run_id)
    outcome.seconds = (stats.end_time or 0.0) - (stats.start_time or 0.0)
    return outcome


def _take(entry: EventLogEntry, outcome: Outcome) -> str:
    """Puts what the event says into the outcome; returns what a person should see of it now."""
    event = entry.dagster_event
    if event is None:
        return ""
    if event.event_type is DagsterEventType.ASSET_MATERIALIZATION and event.asset_key is not None:
        materialized = event.step_materialization_data.materialization
        outcome.metadata[event.asset_key] = {name: value.value for name, value in materialized.metadata.items()}
        return event.asset_key.to_user_string()
    if event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION:
        check = event.asset_check_evaluation_data
        outcome.checks.append(check)
        return f"{check.asset_key.to_user_string()}: {check.check_name}"
    if event.event_type is DagsterEventType.STEP_START:
        return event.step_key or ""
    if event.is_step_failure:
        failure = event.step_failure_data
        error = failure.error.cause or failure.error if failure.error is not None else None
        told = failure.user_failure_data.description if failure.user_failure_data is not None else None
        why = told or (error.message if error is not None else event.message) or ""
        outcome.failures.append(
            f"{event.step_key}: {why.strip().splitlines()[0] if why.strip() else 'no reason given'}"
        )
    return ""


@contextlib.contextmanager
def _printed_to(log: Path) -> Iterator[TextIO]:
    """Standard output and error of this process and its children go to the file; yields the terminal's own."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    try:
        with log.open("ab") as file, os.fdopen(os.dup(1), "w", encoding="utf-8") as terminal:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            yield terminal
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)
