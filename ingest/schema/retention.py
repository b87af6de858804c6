"""Keeps the TTL of raw.agent_events and raw.otel_* as METERHOUSE_RETENTION_DAYS says.

In: a table as the engine has it, and the Layout. Out: the one ALTER that brings the two together and a sentence for
people, or None where they agree or the table is not there yet.
"""

import re
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

from ingest.schema.engines import Layout

TABLES = (
    "raw.agent_events",
    "raw.otel_traces",
    "raw.otel_logs",
    "raw.otel_metrics_gauge",
    "raw.otel_metrics_sum",
    "raw.otel_metrics_histogram",
    "raw.otel_metrics_exponential_histogram",
    "raw.otel_metrics_summary",
)
_DAYS = re.compile(r"\bTTL toDateTime\(_loaded_at\) \+ toIntervalDay\((\d+)\)")


@dataclass(frozen=True)
class RetentionChange:
    """A TTL that differs from the setting."""

    sentence: str
    statement: str


def retention_changes(client: Client, layout: Layout) -> list[RetentionChange]:
    """What has to be altered so that rows go `retention_days` after they landed."""
    changes = (_change(client, layout, table) for table in TABLES)
    return [change for change in changes if change is not None]


def _change(client: Client, layout: Layout, table: str) -> RetentionChange | None:
    stored = layout.stored_table(table)
    rows = client.query(
        "select engine_full from system.tables where database = {database:String} and name = {table:String}",
        parameters={"database": f"{layout.database_prefix}raw", "table": stored.rpartition(".")[2]},
    ).result_rows
    if not rows:
        return None
    found = _DAYS.search(rows[0][0])
    has, wants = int(found.group(1)) if found else None, layout.ttl_days
    if has == wants:
        return None
    alter = f"alter table {stored} {layout.on_cluster}".strip()
    statement = (
        f"{alter} remove ttl" if wants is None else f"{alter} modify ttl toDateTime(_loaded_at) + interval {wants} day"
    )
    return RetentionChange(f"{table}: retention changes from {_words(has)} to {_words(wants)}", statement)


def _words(days: int | None) -> str:
    return "for ever" if days is None else f"{days} days"
