"""Proves that the rows of a run are in the table, where an insert token alone proves nothing.

MergeTree writes the token into its deduplication log before it moves the part into place. A kill -9 (or a full disk)
between the two leaves a token without rows: every retry is answered with success and lands nothing. So after an insert
that was not answered at the first attempt, ask here, and land what is missing under another token.
"""

from datetime import datetime

from clickhouse_connect.driver.client import Client


def months_landed(
    client: Client,
    table: str,
    *,
    topic: str,
    partition: int,
    first: int,
    last: int,
    since: datetime | None = None,
    time_column: str = "occurred_at",
) -> dict[int, int]:
    """Rows of the offsets first..last by month of the time column, as {202611: 1830}; none without rows.

    `table` is `database.table`, quoted where needed. A month of an insert is one part, which is there whole or not at
    all: more than none means all of them, though merges may have collapsed copies. `since` is the earliest moment
    (engine's clock) the rows can have landed at and keeps old parts out of the search. Raises what the client raises.
    """
    landed_after = " and _loaded_at >= {since:DateTime64(3, 'UTC')}" if since is not None else ""
    rows = client.query(
        f"select toYYYYMM({time_column}) as month, count() from {table}"  # noqa: S608  # the caller's own table
        " where _topic = {topic:String} and _partition = {partition:Int32}"
        f" and _offset between {{first:Int64}} and {{last:Int64}}{landed_after} group by month",
        parameters={"topic": topic, "partition": partition, "first": first, "last": last, "since": since},
    ).result_rows
    return {int(month): int(count) for month, count in rows}
