"""Freshness: policies by family for Dagster, and how old a table's data is by the completeness watermark.

A FreshnessPolicy is about when something was last materialized, which a build of half-landed data satisfies too. How
old data is, is said by the watermark: up to when everything had landed that a model's last build has seen
(ops.model_builds against int_clock_ticks). Times are UTC; thresholds are minutes of thresholds.yml.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from dagster import FreshnessPolicy

from ingest.settings import Settings
from orchestration.lib.families import Family
from orchestration.lib.quality_finding import Finding, Level, Look, Number, read_topics, rising
from orchestration.lib.quality_manifest import Node, database_of
from orchestration.lib.quality_thresholds import Window, load_thresholds

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_NOT_KNOWN: Final = datetime(1970, 1, 2, tzinfo=UTC)
# Buckets before the newest that all have rows make a model one that has rows in every bucket.
_USUAL_BUCKETS: Final = 3


def policy_for(family: str) -> FreshnessPolicy | None:
    """The policy of the raw tables (`raw`) or of a family of models; None for seeds, which people edit."""
    if family == Family.SEEDS:
        return None
    window = load_thresholds().freshness.of(family)
    return FreshnessPolicy.time_window(
        fail_window=timedelta(minutes=window.fail_after_minutes),
        warn_window=timedelta(minutes=window.warn_after_minutes),
    )


@dataclass(frozen=True)
class Covered:
    """Up to when a model has everything; None where nothing said so. `built_at`: its last build."""

    as_of: datetime | None
    built_at: datetime | None


@dataclass(frozen=True)
class Watermarks:
    """`arrived`: up to when everything has landed, as the loader reports it; `models`: what each model has of that."""

    arrived: datetime | None
    has_loader: bool
    models: Mapping[str, Covered]


def read_watermarks(client: "Client", settings: Settings) -> Watermarks:
    """One look at the ledger of the loader and at that of the builds. Raises what the client raises."""
    topics = read_topics(client, settings, with_metrics=False)
    reported, known, arrived = client.query(
        "select count(), countIf(isNotNull(complete_to)), min(complete_to) "  # noqa: S608  # checked settings
        f"from `{settings.database('ops')}`.completeness where topic in {{topics:Array(String)}}",
        parameters={"topics": topics},
    ).result_rows[0]
    is_known = reported and reported == known
    return Watermarks(_utc(arrived) if is_known and arrived else None, bool(reported), _covered(client, settings))


def _covered(client: "Client", settings: Settings) -> dict[str, Covered]:
    builds, ticks = (
        f"`{database_of(settings, 'ops')}`.model_builds",
        f"`{database_of(settings, 'intermediate')}`.int_clock_ticks",
    )
    there = client.query(
        "select count() from system.tables where (database, name) in "
        "(({ops:String}, 'model_builds'), ({intermediate:String}, 'int_clock_ticks'))",
        parameters={"ops": database_of(settings, "ops"), "intermediate": database_of(settings, "intermediate")},
    ).result_rows[0][0]
    if there < 2:
        return {}
    # A table that is made anew each time has no entry among the builds: it is as new as itself.
    rows = client.query(
        f"""
        select found.model, found.built_to, ticks.as_of, found.built_at
        from (
            select 1 as one, model, min(built_to) as built_to, max(built_at) as built_at
            from (
                select model, max(model_builds.built_to) as built_to,
                    max(model_builds.built_at) as built_at
                from {builds} as model_builds
                group by model, change_log
            )
            group by model
            union all
            select 1 as one, name as model, toUInt64(toUnixTimestamp(metadata_modification_time)) * 1000 as built_to,
                toDateTime64(metadata_modification_time, 3, 'UTC') as built_at
            from system.tables
            where database in {{databases:Array(String)}} and engine like '%MergeTree'
                and name not in (select model from {builds})
        ) as found
        asof left join (select 1 as one, change_id, as_of from {ticks}) as ticks
            on found.one = ticks.one and found.built_to >= ticks.change_id
        """,  # noqa: S608  # checked settings
        parameters={"databases": [database_of(settings, "intermediate"), database_of(settings, "marts")]},
        settings={"join_use_nulls": 1},
    ).result_rows
    return {
        str(model): Covered(_utc(as_of) if as_of is not None and _utc(as_of) > _NOT_KNOWN else None, _utc(built_at))
        for model, _, as_of, built_at in rows
    }


def raw_fresh(look: Look, watermarks: Watermarks) -> Finding:
    """How far the watermark of arrival is behind the clock."""
    window = look.thresholds.freshness.raw
    if watermarks.arrived is None:
        words = (
            "the loader has not said up to when it is complete" if watermarks.has_loader else "no loader ever reported"
        )
        return Finding(Level.WARN, f"not known how fresh: {words}", _numbers(None, window))
    behind = look.now - watermarks.arrived
    return Finding(
        _late(behind, window),
        f"everything is in up to {watermarks.arrived:%Y-%m-%d %H:%M:%S} UTC, {_words(behind)} ago",
        {**_numbers(behind, window), "complete_to": watermarks.arrived.isoformat()},
    )


def model_fresh(look: Look, watermarks: Watermarks, node: Node, family: str) -> Finding:
    """How far what a model has seen is behind the clock, and whether the loader or the builds are why."""
    window = look.thresholds.freshness.of(family)
    covered = watermarks.models.get(node.name)
    if covered is None or covered.as_of is None:
        words = "it was never built" if covered is None else "when it was built, nobody knew what had landed"
        return Finding(Level.WARN, f"not known how fresh: {words}", _numbers(None, window))
    behind = look.now - covered.as_of
    level = _late(behind, window)
    cause = ""
    if level is not Level.OK:
        arrived = watermarks.arrived
        waits = arrived is None or look.now - arrived >= timedelta(minutes=window.warn_after_minutes)
        cause = "; the loader is behind, see raw/agent_events" if waits else "; what has landed since was not built"
    return Finding(
        level,
        f"has everything up to {covered.as_of:%Y-%m-%d %H:%M:%S} UTC, {_words(behind)} ago{cause}",
        {
            **_numbers(behind, window),
            "as_of": covered.as_of.isoformat(),
            "built_at": covered.built_at.isoformat() if covered.built_at else None,
            "arrived_to": watermarks.arrived.isoformat() if watermarks.arrived else None,
        },
    )


def bucket_fresh(look: Look, watermarks: Watermarks, node: Node) -> Finding:
    """Whether the newest hour or day that should be whole is in, which a backfill of an old one cannot make so.

    A bucket must be covered by the watermark, and must have rows where events happened in it and the three buckets
    before it have rows.
    """
    kind = node.config.meta.bucket or "day"
    window = look.thresholds.freshness.buckets.hour if kind == "hour" else look.thresholds.freshness.buckets.day
    step = timedelta(hours=1) if kind == "hour" else timedelta(days=1)
    # The newest whose end is so long ago that somebody should wonder.
    newest = _floor(look.now - timedelta(minutes=window.warn_after_minutes), step) - step
    end = newest + step
    covered = watermarks.models.get(node.name)
    rows = _bucket_rows(look, node, [newest - step * back for back in range(_USUAL_BUCKETS + 1)])
    events = _events(look, newest, end)
    numbers: dict[str, Number] = {
        "bucket": _shown(newest, kind),
        "rows": rows[0],
        "rows_before": min(rows[1:]),
        "events": events,
        "as_of": covered.as_of.isoformat() if covered and covered.as_of else None,
        "warn_after_minutes": window.warn_after_minutes,
        "fail_after_minutes": window.fail_after_minutes,
    }
    if covered is None or covered.as_of is None:
        return Finding(Level.WARN, f"the {kind} {_shown(newest, kind)} is not known to be in: never built", numbers)
    if covered.as_of < end:
        late = look.now - end
        numbers["late_minutes"] = round(late.total_seconds() / 60, 1)
        return Finding(
            _late(late, window),
            f"the {kind} {_shown(newest, kind)} is not whole: it ended {_words(late)} ago, and the table has "
            f"everything up to {covered.as_of:%Y-%m-%d %H:%M} UTC",
            numbers,
        )
    if events and not rows[0] and min(rows[1:]):
        return Finding(
            Level.ERROR,
            f"the {kind} {_shown(newest, kind)} is empty, though {events:,} events happened in it and the "
            f"{_USUAL_BUCKETS} before it have rows: it was dropped, or not built",
            numbers,
        )
    return Finding(Level.OK, f"the {kind} {_shown(newest, kind)} is in: {rows[0]:,} rows of {events:,} events", numbers)


def _bucket_rows(look: Look, node: Node, buckets: Sequence[datetime]) -> list[int]:
    """Rows of each of the buckets, in their order."""
    meta, table = node.config.meta, f"`{database_of(look.settings, node.schema)}`.`{node.alias or node.name}`"
    start = "toStartOfHour" if meta.bucket == "hour" else "toStartOfDay"
    moment = f"toDateTime({meta.bucket_column}, 'UTC')"
    found: dict[int, int] = {
        int(bucket): int(count)
        for bucket, count in look.client.query(
            f"select toUnixTimestamp({start}({moment}, 'UTC')) as bucket, count() from {table} "  # noqa: S608  # checked settings, names of the manifest
            f"where {moment} >= {{since:DateTime('UTC')}} and {moment} < {{until:DateTime('UTC')}} group by bucket",
            parameters={"since": _text(min(buckets)), "until": _text(max(buckets) + timedelta(days=1))},
        ).result_rows
    }
    return [found.get(int(bucket.timestamp()), 0) for bucket in buckets]


def _events(look: Look, since: datetime, until: datetime) -> int:
    table = f"`{database_of(look.settings, 'intermediate')}`.int_agent_events"
    return int(
        look.client.query(
            f"select count() from {table} "  # noqa: S608  # checked settings
            "where occurred_hour >= {since:DateTime('UTC')} and occurred_hour < {until:DateTime('UTC')}",
            parameters={"since": _text(since), "until": _text(until)},
        ).result_rows[0][0]
    )


def _late(behind: timedelta, window: Window) -> Level:
    return rising(behind.total_seconds() / 60, window.warn_after_minutes, window.fail_after_minutes)


def _numbers(behind: timedelta | None, window: Window) -> dict[str, Number]:
    return {
        "behind_minutes": None if behind is None else round(behind.total_seconds() / 60, 1),
        "warn_after_minutes": window.warn_after_minutes,
        "fail_after_minutes": window.fail_after_minutes,
    }


def _words(behind: timedelta) -> str:
    minutes = behind.total_seconds() / 60
    return f"{minutes:,.0f} minutes" if minutes < 180 else f"{minutes / 60:,.1f} hours"


def _floor(moment: datetime, step: timedelta) -> datetime:
    start = datetime.combine(date(moment.year, moment.month, moment.day), datetime.min.time(), UTC)
    return start + (moment - start) // step * step


def _shown(bucket: datetime, kind: str) -> str:
    return f"{bucket:%Y-%m-%d %H:00}" if kind == "hour" else f"{bucket:%Y-%m-%d}"


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
