"""What is done off-peak: parts are merged, retention is held against the setting, old runs are forgotten.

In: a client, Settings, the time. Out: plain values for metadata. Merging is bounded a night, and only of months that
nobody writes to any more: the engine merges the others by itself.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from ingest.errors import MeterhouseError
from ingest.schema.engines import Layout
from ingest.schema.retention import TABLES, retention_changes

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from ingest.settings import Settings

QUIET_FOR: Final = timedelta(hours=20)
PARTITIONS_A_NIGHT: Final = 3
# The engine drops expired rows when it merges, once a day at most, so some are older than the setting says.
TTL_GRACE_DAYS: Final = 3
# How long a run is kept, by job; a run a minute is 300 MB of Dagster's own storage a day.
KEPT_DAYS: Final = {"fast": 2, "marts": 7}
KEPT_DAYS_OTHERWISE: Final = 60
_FINISHED: Final = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
_MOST_RUNS_A_NIGHT: Final = 5_000


@dataclass(frozen=True, slots=True)
class Merged:
    """A partition that was merged: parts and rows before, rows after (copies collapse)."""

    table: str
    partition: str
    parts: int
    rows_before: int
    rows_after: int


def layout_of(settings: "Settings") -> Layout:
    return Layout(settings.database_prefix, settings.clickhouse_cluster, settings.retention_days)


def compact(client: "Client", settings: "Settings", now: datetime) -> list[Merged]:
    """Merges the partitions with most parts among those that took no row for a while into one part each."""
    layout, merged = layout_of(settings), []
    for name in TABLES:
        stored = layout.stored_table(name)
        for partition, parts, rows in _quiet_partitions(client, stored, now)[:PARTITIONS_A_NIGHT]:
            client.command(f"optimize table {stored} {layout.on_cluster} partition id '{partition}' final")
            after = client.query(f"select count() from {stored} where _partition_id = '{partition}'")  # noqa: S608
            merged.append(Merged(name, partition, parts, rows, int(after.result_rows[0][0])))
    return merged


def _quiet_partitions(client: "Client", stored: str, now: datetime) -> Sequence[tuple[str, int, int]]:
    database, table = stored.replace("`", "").split(".")
    return [
        (str(row[0]), int(row[1]), int(row[2]))
        for row in client.query(
            "select partition_id, count() as parts, sum(rows) from system.parts where active "
            "and database = {database:String} and table = {table:String} group by partition_id "
            "having parts > 1 and max(modification_time) < {before:DateTime('UTC')} order by parts desc, partition_id",
            parameters={"database": database, "table": table, "before": now - QUIET_FOR},
        ).result_rows
    ]


@dataclass(frozen=True, slots=True)
class Retention:
    """What the raw tables keep: the day of the oldest row's landing, by table; tables without rows are not in it."""

    oldest_days: Mapping[str, str]


def check_retention(client: "Client", settings: "Settings") -> Retention:
    """Raises MeterhouseError where a table's TTL is not the setting's, or expired rows have stayed for days."""
    layout = layout_of(settings)
    changes = retention_changes(client, layout)
    if changes:
        raise MeterhouseError(f"{changes[0].sentence}, but that was not done: run `meterhouse migrate`.")
    oldest_days = {}
    for name in TABLES:
        stored = layout.stored_table(name)
        if not client.command(f"exists table {stored}"):
            continue
        rows, oldest, overdue = client.query(
            "select count(), toString(toDate(min(_loaded_at))), "  # noqa: S608  # names from checked settings
            f"countIf(_loaded_at < now() - toIntervalDay({{days:UInt32}})) from {stored}",
            parameters={"days": settings.retention_days + TTL_GRACE_DAYS},
        ).result_rows[0]
        if int(overdue):
            raise MeterhouseError(
                f"{name} holds {int(overdue):,} rows that should be gone for {TTL_GRACE_DAYS} days and more "
                f"(METERHOUSE_RETENTION_DAYS is {settings.retention_days}): merges do not keep up, or TTL merges are "
                "stopped. `system start ttl merges`, and look at system.merges."
            )
        if int(rows):
            oldest_days[name] = str(oldest)
    return Retention(oldest_days)


def forget_runs(instance: DagsterInstance, now: datetime) -> int:
    """Deletes finished runs that are older than their job's are kept; returns how many."""
    newest_kept = now - timedelta(days=min(KEPT_DAYS.values()))
    forgotten = 0
    records = instance.get_run_records(
        RunsFilter(statuses=_FINISHED, created_before=newest_kept), limit=_MOST_RUNS_A_NIGHT, ascending=True
    )
    for record in records:
        run = record.dagster_run
        days = KEPT_DAYS.get(run.job_name, KEPT_DAYS_OTHERWISE)
        if record.create_timestamp < now - timedelta(days=days):
            instance.delete_run(run.run_id)
            forgotten += 1
    return forgotten


def remove_old_folders(folder: Path, now: datetime) -> int:
    """What failed runs of dbt left for people to read, after some days; returns how many."""
    before = (now - timedelta(days=KEPT_DAYS["marts"])).timestamp()
    old = [one for one in folder.glob("*") if one.is_dir() and one.stat().st_mtime < before] if folder.is_dir() else []
    for one in old:
        shutil.rmtree(one, ignore_errors=True)
    return len(old)
