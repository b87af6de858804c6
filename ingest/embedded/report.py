"""`meterhouse status`: what runs, what is in the tables, how far the loaders are.

In: Settings. Out: a Report, plain values; report_view.py shows it. What cannot be reached is a line in
`problems`, never an exception; each look has a deadline of a few seconds.
"""

import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from clickhouse_connect.driver.client import Client

from ingest.api.part import PART as DOOR
from ingest.api.part import door_part
from ingest.embedded import kafka as embedded_kafka
from ingest.embedded.parts import Keeper, Part
from ingest.embedded.stack import TOPICS, answers_kafka, answers_ok, data_folder, embedded_parts, loader_part
from ingest.errors import MeterhouseError
from ingest.kafka import KafkaAdmin, TopicDescription, Watermarks, lag
from ingest.plugins import further_parts
from ingest.settings import Settings
from ingest.warehouse import connect

LOOK_WITHIN_S = 5.0


@dataclass(frozen=True)
class PartLine:
    """One part. `is_yours`: it is run by the user, only asked here. `data_bytes` None: it keeps nothing on disk."""

    name: str
    state: str
    address: str
    is_yours: bool = False
    pid: int | None = None
    since: datetime | None = None
    data_bytes: int | None = None
    version: str = ""
    log: str = ""

    @property
    def is_well(self) -> bool:
        return self.state == "running"


@dataclass(frozen=True)
class TableLine:
    """One table: rows before deduplication, bytes on disk."""

    table: str
    rows: int
    bytes_on_disk: int


@dataclass(frozen=True)
class TopicLine:
    """One stream: messages on the broker, those not landed yet, and up to when everything is in; None: not known."""

    topic: str
    partitions: int
    messages: int
    lag: int | None
    complete_to: datetime | None = None
    reported_at: datetime | None = None


@dataclass
class Report:
    """Everything `status` shows. It is well when every part that should run answers."""

    parts: list[PartLine] = field(default_factory=list)
    tables: list[TableLine] = field(default_factory=list)
    topics: list[TopicLine] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def is_well(self) -> bool:
        return all(part.is_well for part in self.parts)

    def to_json(self) -> dict[str, object]:
        return {"is_well": self.is_well, **asdict(self)}


@dataclass(frozen=True)
class Landed:
    """How far one partition is in, from ops.load_progress."""

    topic_id: str
    next_offset: int
    reported_at: datetime


def collect(settings: Settings) -> Report:
    """Looks at everything once."""
    report = Report()
    keeper = Keeper(settings.home, report.problems.append)
    known = keeper.remembered()
    parts = embedded_parts(settings)
    if "loader" in known:
        parts.append(loader_part(settings))
    if DOOR in known:
        parts.append(door_part(settings))
    parts += [part for part in further_parts(settings) if part.name in known]
    for part in parts:
        report.parts.append(_own_line(keeper, part, settings))
    if not settings.is_clickhouse_embedded:
        answers = answers_ok(f"{_plain_url(settings)}/ping", LOOK_WITHIN_S)
        state = "running" if answers else "unreachable"
        report.parts.append(PartLine("clickhouse", state, settings.clickhouse.public, is_yours=True))
    if not settings.is_kafka_embedded:
        answers = answers_kafka(settings.bootstrap, LOOK_WITHIN_S, settings.kafka_options)
        report.parts.append(
            PartLine("kafka", "running" if answers else "unreachable", settings.bootstrap, is_yours=True)
        )
    landed, completeness = _look_into_clickhouse(settings, report)
    _look_into_kafka(settings, report, landed, completeness)
    return report


def _plain_url(settings: Settings) -> str:
    address = settings.clickhouse
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{'https' if address.secure else 'http'}://{host}:{address.port}"


def _own_line(keeper: Keeper, part: Part, settings: Settings) -> PartLine:
    state = keeper.state(part)
    is_engine = part.name == "engine"
    return PartLine(
        name=part.name,
        state=state.state,
        address=state.address,
        pid=state.pid,
        since=state.started_at,
        data_bytes=folder_bytes(data_folder(settings)) if is_engine else None,
        version=embedded_kafka.binary_version() if part.name == "broker" else "",
        log=str(state.log or ""),
    )


def folder_bytes(folder: Path) -> int:
    """Bytes of all files under it; files that vanish meanwhile count nothing."""
    total = 0
    for root, _, files in os.walk(folder):
        for name in files:
            try:
                total += (Path(root) / name).lstat().st_size
            except OSError:
                continue
    return total


def _look_into_clickhouse(
    settings: Settings, report: Report
) -> tuple[dict[tuple[str, int], Landed] | None, dict[str, datetime | None]]:
    engine = next(part for part in report.parts if part.name in ("engine", "clickhouse"))
    if not engine.is_well:
        return None, {}
    try:
        client = connect(settings.clickhouse, connect_timeout_s=LOOK_WITHIN_S, request_timeout_s=LOOK_WITHIN_S)
    except MeterhouseError as error:
        report.problems.append(str(error))
        return None, {}
    try:
        index = report.parts.index(engine)
        report.parts[index] = PartLine(**{**asdict(engine), "version": f"ClickHouse {client.server_version}"})
        report.tables = read_tables(client, settings.database_prefix)
        return read_landed(client, settings), read_complete_to(client, settings)
    except Exception as error:  # noqa: BLE001  # a table that is not there yet must not hide the rest of the report
        report.problems.append(f"ClickHouse answered with an error: {str(error).splitlines()[0]}")
        return None, {}
    finally:
        client.close()


def read_tables(client: Client, database_prefix: str) -> list[TableLine]:
    """Tables of our databases, empty ones too, by name."""
    rows = client.query(
        """
        select concat(database, '.', name), ifNull(total_rows, 0), ifNull(total_bytes, 0)
        from system.tables
        where database in {databases:Array(String)} and engine like '%MergeTree%'
        order by 1
        """,
        parameters={"databases": [f"{database_prefix}{n}" for n in ("raw", "staging", "intermediate", "marts", "ops")]},
    ).result_rows
    return [TableLine(*row) for row in rows]


def read_landed(client: Client, settings: Settings) -> dict[tuple[str, int], Landed]:
    """The newest report of every partition, by (topic, partition); empty before the migrations."""
    if not _has_table(client, settings, "load_progress"):
        return {}
    rows = client.query(
        f"select topic, partition, topic_id, next_offset, reported_at from `{settings.database('ops')}`.load_progress "  # noqa: S608  # a name from checked settings
        "order by reported_at desc limit 1 by topic, partition"
    ).result_rows
    return {(row[0], row[1]): Landed(str(row[2]), row[3], _utc(row[4])) for row in rows}


def read_complete_to(client: Client, settings: Settings) -> dict[str, datetime | None]:
    """Up to when each topic is in, from ops.completeness."""
    if not _has_table(client, settings, "completeness"):
        return {}
    rows = client.query(
        f"select topic, complete_to from `{settings.database('ops')}`.completeness"  # noqa: S608  # as above
    ).result_rows
    return {topic: None if complete_to is None else _utc(complete_to) for topic, complete_to in rows}


def _has_table(client: Client, settings: Settings, name: str) -> bool:
    found = client.query(
        "select count() from system.tables where database = {database:String} and name = {name:String}",
        parameters={"database": settings.database("ops"), "name": name},
    ).result_rows
    return bool(found[0][0])


def _utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _look_into_kafka(
    settings: Settings,
    report: Report,
    landed: dict[tuple[str, int], Landed] | None,
    complete_to: dict[str, datetime | None],
) -> None:
    if not next(part for part in report.parts if part.name in ("broker", "kafka")).is_well:
        return
    try:
        with KafkaAdmin(settings.bootstrap, settings.kafka_options, timeout_s=LOOK_WITHIN_S) as admin:
            names = [settings.topic(name) for name in TOPICS]
            described = admin.describe(names)
            watermarks = admin.watermarks(names)
    except MeterhouseError as error:
        report.problems.append(str(error))
        return
    for name in names:
        if name not in described:
            report.problems.append(f"Topic {name} is missing: `meterhouse up` makes it")
            continue
        report.topics.append(topic_line(described[name], watermarks, landed, complete_to.get(name)))


def topic_line(
    topic: TopicDescription,
    watermarks: dict[tuple[str, int], Watermarks],
    landed: dict[tuple[str, int], Landed] | None,
    complete_to: datetime | None,
) -> TopicLine:
    """Lag as of now: what the broker holds beyond what has landed of this very topic, not of one of its name before.

    `landed` None: ClickHouse could not be asked.
    """
    messages = behind = 0
    reports = []
    for partition in topic.partitions:
        reach = watermarks[topic.name, partition]
        report = (landed or {}).get((topic.name, partition))
        is_ours = report is not None and report.topic_id == str(topic.topic_id)
        messages += reach.high - reach.low
        behind += lag(max(reach.low, report.next_offset) if report is not None and is_ours else reach.low, reach.high)
        if report is not None and is_ours:
            reports.append(report.reported_at)
    return TopicLine(
        topic.name,
        len(topic.partitions),
        messages,
        None if landed is None else behind,
        complete_to if reports else None,
        min(reports, default=None),
    )
