"""What a check of ours found, and how Dagster shows it: always numbers, never a bare pass or fail.

In: a Finding (how bad, one sentence, numbers by name, rows for people). Out: an AssetCheckResult. `guarded` makes a
finding of a service that is away, so that a check says so instead of ending without a result.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetKey,
    MetadataValue,
    TableColumn,
    TableRecord,
    TableSchema,
)

from ingest.errors import MeterhouseError
from ingest.settings import Settings
from ingest.signals import signals_by_topic
from orchestration.lib.quality_thresholds import Thresholds

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

Number = int | float | str | bool | None
Metadata = Mapping[str, MetadataValue]

_MOST_ROWS: Final = 200


class Level(IntEnum):
    """How bad it is; the larger the worse."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class Finding:
    """`summary` is one sentence with the deciding numbers; `numbers` all of them; `rows` a table. Units stand in
    the names."""

    level: Level
    summary: str
    numbers: Mapping[str, Number]
    rows: Sequence[Mapping[str, Number]] = ()
    more: Metadata = field(default_factory=dict)


@dataclass(frozen=True)
class Look:
    """What a check may look with. `now` is UTC; `thresholds` are as the file has them at this moment."""

    settings: Settings
    client: "Client"
    now: datetime
    thresholds: Thresholds


def loaded_topics(settings: Settings) -> list[str]:
    """The topics of agent events as they are on the broker."""
    return [settings.topic(name) for name in settings.agent_event_topics]


def read_topics(client: "Client", settings: Settings, *, with_metrics: bool = True) -> list[str]:
    """Those of agent events, and those of OTLP that are used: that a loader reported and somebody ever wrote to.

    Without metrics they are the topics whose messages become events, as `int_clock_ticks` takes them.
    """
    names = [topic for topic, signal in signals_by_topic(settings).items() if with_metrics or signal != "metrics"]
    used = client.query(
        f"select topic from `{settings.database('ops')}`.completeness "  # noqa: S608  # a name from checked settings
        "where produced > 0 and topic in {topics:Array(String)} order by topic",
        parameters={"topics": names},
    ).result_rows
    return [*loaded_topics(settings), *(str(topic) for (topic,) in used)]


def rising(value: float, warn: float, error: float) -> Level:
    """The level of a number that is worse the larger it is; a threshold itself is reached."""
    return Level.ERROR if value >= error else Level.WARN if value >= warn else Level.OK


def falling(value: float, warn: float, error: float) -> Level:
    """The level of a number that is worse the smaller it is."""
    return Level.ERROR if value <= error else Level.WARN if value <= warn else Level.OK


def guarded(look: Callable[[], Finding]) -> Finding:
    """The finding; where something needed is away or refuses, one that fails and says what."""
    from clickhouse_connect.driver.exceptions import ClickHouseError

    try:
        return look()
    except (MeterhouseError, ClickHouseError, OSError) as error:
        words = str(error).splitlines()[0] if str(error) else "no words"
        return Finding(Level.ERROR, f"could not look: {words}", {"error": f"{type(error).__name__}: {words}"[:1_000]})


def check_result(found: Finding, asset: AssetKey | None = None, name: str | None = None) -> AssetCheckResult:
    """As Dagster wants it; asset and name are needed only where one function answers for several checks."""
    metadata: dict[str, MetadataValue] = {key: _metadata(value) for key, value in found.numbers.items()}
    if found.rows:
        metadata["rows"] = _table(found.rows)
    metadata.update(found.more)
    return AssetCheckResult(
        passed=found.level is Level.OK,
        asset_key=asset,
        check_name=name,
        severity=AssetCheckSeverity.ERROR if found.level is Level.ERROR else AssetCheckSeverity.WARN,
        description=found.summary,
        metadata=metadata,
    )


def _metadata(value: Number) -> MetadataValue:
    if value is None:
        return MetadataValue.null()
    if isinstance(value, bool):
        return MetadataValue.bool(value)
    if isinstance(value, int):
        return MetadataValue.int(value)
    return MetadataValue.float(value) if isinstance(value, float) else MetadataValue.text(value)


def _table(rows: Sequence[Mapping[str, Number]]) -> MetadataValue:
    kinds = {bool: "bool", int: "int", float: "float"}
    columns = [
        TableColumn(
            name, next((kinds.get(type(row[name]), "string") for row in rows if row[name] is not None), "string")
        )
        for name in rows[0]
    ]
    records = [TableRecord({name: "" if value is None else value for name, value in row.items()}) for row in rows]
    return MetadataValue.table(records[:_MOST_ROWS], TableSchema(columns))
