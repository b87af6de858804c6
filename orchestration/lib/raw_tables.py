"""The raw tables as assets: which topics land in each, and what a drain or the loader's ledger says of it.

In: Settings, sums by topic. Out: metadata by asset. Nobody needs to send OTLP: its tables are observed where its topics
are used, and have no freshness policy, since a table that nobody writes to is not late.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from dagster import AssetKey, AssetSpec

from ingest.signals import TABLES, Signal, topics_of
from orchestration.lib.arrivals import Landed, Partition, numbers
from orchestration.lib.freshness import policy_for
from orchestration.lib.quality_finding import loaded_topics

if TYPE_CHECKING:
    from datetime import datetime

    from clickhouse_connect.driver.client import Client

    from ingest.settings import Settings

EVENTS: Final = AssetKey(["raw", "agent_events"])
DEAD_LETTERS: Final = AssetKey(["raw", "dead_letters"])
OTLP: Final[Mapping[AssetKey, Signal]] = {
    AssetKey(["raw", table]): signal for signal, tables in TABLES.items() for table in tables
}
_RECORDS: Final[Mapping[Signal, str]] = {
    "traces": "Spans as OpenTelemetry's exporters sent them, each once.",
    "logs": "Log records as OpenTelemetry's exporters sent them, each once.",
    "metrics": "Points of one kind of metric; the rows said to have landed are those of all kinds together.",
}


def specs() -> Iterator[AssetSpec]:
    """One for each raw table."""
    yield _spec(
        EVENTS,
        "What agents reported, each message once (docs/raw-tables.md). Materializing drains Kafka to where it stands "
        "at the start; a loader that runs as a service is observed by the sensor arrivals.",
    )
    yield _spec(DEAD_LETTERS, "What could not be landed, whole, and why (docs/guarantees.md).")
    for key, signal in OTLP.items():
        yield _spec(key, f"{_RECORDS[signal]} Empty where nobody sends OTLP (docs/otlp.md).")


def _spec(key: AssetKey, description: str) -> AssetSpec:
    return AssetSpec(
        key,
        group_name="raw",
        kinds={"kafka", "clickhouse"},
        owners=["team:platform"],
        freshness_policy=None if key in OTLP else policy_for("raw"),
        description=description,
    )


def said_of(
    settings: "Settings", partitions: Sequence[Partition], landed: Mapping[str, Landed], now: "datetime"
) -> dict[AssetKey, dict[str, int | float | str]]:
    """The metadata of each table whose topics are used; `landed` by topic. Dead letters are those of all topics."""

    def told(topics: Collection[str]) -> dict[str, int | float | str]:
        return numbers(
            [one for one in partitions if one.topic in topics],
            Landed.sum(one for topic, one in landed.items() if topic in topics),
            now,
        )

    used = {one.topic for one in partitions}
    of_all = told(used | landed.keys())
    said = {EVENTS: told(loaded_topics(settings)), DEAD_LETTERS: {**of_all, "rows_landed": of_all["rejected"]}}
    for key, signal in OTLP.items():
        topics = topics_of(settings, signal)
        if used.intersection(topics):
            said[key] = told(topics)
    return said


def row_counts(client: "Client", settings: "Settings") -> dict[AssetKey, int]:
    """Rows that the engine keeps now, copies that it has not merged yet included."""
    rows = client.query(
        "select name, total_rows from system.tables where database = {database:String} and total_rows is not null",
        parameters={"database": settings.database("raw")},
    ).result_rows
    return {AssetKey(["raw", str(name)]): int(count) for name, count in rows}
