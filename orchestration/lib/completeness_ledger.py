"""Completeness, the ledger's part: which sources there were, where their days begin, how far each is loaded.

In: a client and the days looked at. Out: `SourceState` a source, with the ranges of its days. Everything comes from
ops.load_claims, ops.load_batches, ops.load_progress and ops.produced_offsets. What the check sees on the broker is
written down in the latter first, since a topic may be gone at the next look.
"""

import io
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import msgspec
from clickhouse_connect.driver.client import Client

from ingest.loader.ledger import Ledger
from ingest.loader.run import Source
from ingest.warehouse import insert_settings
from orchestration.lib.completeness import DayRange, SourceKey, split_days
from orchestration.lib.completeness_broker import BrokerView


@dataclass(frozen=True)
class SourceState:
    """One source as it stands. Everything below `floor` is loaded; `low` is None where the topic is gone. Rows of raw
    belong to it from `since` on until `until` (the engine's clock), since raw has no topic_id."""

    key: SourceKey
    days: Sequence[DayRange]
    floor: int
    low: int | None
    since: datetime
    until: datetime | None


def note_produced(client: Client, ops: str, view: BrokerView, today: date) -> None:
    """Writes down how far the partitions reach."""
    rows = [
        {
            "topic": key.topic,
            "topic_id": key.topic_id,
            "partition": key.partition,
            "day": str(today),
            "end_offset": mark.high,
        }
        for key, mark in view.marks.items()
    ]
    if not rows:
        return
    client.raw_insert(
        f"{ops}.produced_offsets",
        column_names=list(rows[0]),
        insert_block=io.BytesIO(b"\n".join(msgspec.json.encode(row) for row in rows)),
        settings=insert_settings(client, f"produced:{uuid.uuid4()}"),
        fmt="JSONEachRow",
    )


def read_sources(
    client: Client, ops: str, topics: Sequence[str], days: Sequence[date], view: BrokerView | None
) -> list[SourceState]:
    """Every source that the window's ledger or the broker knows of, with its days. Read the broker before, so that what
    is loaded meanwhile counts as produced too."""
    since = datetime(days[0].year, days[0].month, days[0].day, tzinfo=UTC)
    began = _first_claims(client, ops, topics, since)
    runs, ends = _runs_by_day(client, ops, topics, since)
    seen = _seen(client, ops, topics)
    live = view.marks if view is not None else {}
    keys = sorted(began.keys() | runs.keys() | live.keys() | {key for key in seen if max(seen[key]) >= days[0]})
    ledger = Ledger(client, ops, "completeness")
    states = []
    for key in keys:
        position = ledger.take_up(Source(key.topic, key.topic_id, key.partition))
        marks = live.get(key)
        low = marks.low if marks is not None else None
        reached = position.next_offset if position.next_offset is not None else low or 0
        floor = position.redo[0].run.first if position.redo else reached
        end = max(marks.high if marks is not None else 0, reached, *seen.get(key, {date.min: 0}).values())
        broker_days = view.day_starts.get(key, {}) if view is not None else {}
        states.append(
            SourceState(
                key,
                split_days(
                    days,
                    end,
                    reached=reached,
                    found={**_suffix_minima(days, runs.get(key, {})), **broker_days},
                    landed_before=_prefix_maxima(days, ends.get(key, {})),
                    seen_before=_prefix_maxima(days, seen.get(key, {})),
                ),
                floor,
                low,
                *_lifetime(key, began),
            )
        )
    return states


def _lifetime(key: SourceKey, began: Mapping[SourceKey, datetime]) -> tuple[datetime, datetime | None]:
    """From the first claim of the topic's incarnation to that of the next one, the same for all its partitions."""
    of_topic: dict[str, datetime] = {}
    for one, at in began.items():
        if one.topic == key.topic:
            of_topic[one.topic_id] = min(at, of_topic.get(one.topic_id, at))
    since = of_topic.get(key.topic_id, datetime(1970, 1, 1, tzinfo=UTC))
    later = [at for topic_id, at in of_topic.items() if topic_id != key.topic_id and at > since]
    return since, min(later, default=None)


def _first_claims(client: Client, ops: str, topics: Sequence[str], since: datetime) -> dict[SourceKey, datetime]:
    """When each source was first claimed, of those claimed within the window, by the engine's clock."""
    rows = client.query(
        f"select topic, topic_id, partition, min(claimed_at) from {ops}.load_claims "  # noqa: S608  # our own table's name
        "where topic in {topics:Array(String)} group by all having max(claimed_at) >= {since:DateTime64(3, 'UTC')}",
        parameters={"topics": topics, "since": since - timedelta(days=1)},
    ).result_rows
    return {SourceKey(topic, topic_id, int(number)): _utc(at) for topic, topic_id, number, at in rows}


def _runs_by_day(
    client: Client, ops: str, topics: Sequence[str], since: datetime
) -> tuple[dict[SourceKey, dict[date, int]], dict[SourceKey, dict[date, int]]]:
    """By source: the first offset of the runs whose first message is of a day, and the end of the runs judged on a day.

    A message that claims to be from after its own judgement is of the day of that.
    """
    rows = client.query(
        "select topic, topic_id, partition, toDate(least(ifNull(min_appended_at, judged_at), judged_at)) as day, "  # noqa: S608
        "toDate(judged_at) as judged_on, min(first_offset), max(last_offset) + 1 "
        f"from {ops}.load_batches where topic in {{topics:Array(String)}} "
        "and judged_at >= {since:DateTime64(3, 'UTC')} group by all",
        parameters={"topics": topics, "since": since - timedelta(days=1)},
    ).result_rows
    firsts: dict[SourceKey, dict[date, int]] = defaultdict(dict)
    ends: dict[SourceKey, dict[date, int]] = defaultdict(dict)
    for topic, topic_id, number, day, judged_on, first, end in rows:
        key = SourceKey(topic, topic_id, int(number))
        firsts[key][day] = min(int(first), firsts[key].get(day, int(first)))
        ends[key][judged_on] = max(int(end), ends[key].get(judged_on, 0))
    return firsts, ends


def _seen(client: Client, ops: str, topics: Sequence[str]) -> dict[SourceKey, dict[date, int]]:
    """By source and day of the look, how far the broker said the partition reached."""
    rows = client.query(
        f"select topic, topic_id, partition, day, max(end_offset) from {ops}.produced_offsets "  # noqa: S608
        "where topic in {topics:Array(String)} group by all",
        parameters={"topics": topics},
    ).result_rows
    seen: dict[SourceKey, dict[date, int]] = defaultdict(dict)
    for topic, topic_id, number, day, end in rows:
        seen[SourceKey(topic, topic_id, int(number))][day] = int(end)
    return seen


def _suffix_minima(days: Sequence[date], by_day: Mapping[date, int]) -> dict[date, int]:
    """For each day the smallest value of that day or a later one; days without one are left out."""
    return {day: min(later) for day in days if (later := [value for at, value in by_day.items() if at >= day])}


def _prefix_maxima(days: Sequence[date], by_day: Mapping[date, int]) -> dict[date, int]:
    """For each day the largest value of the days before it."""
    return {day: max(earlier) for day in days if (earlier := [value for at, value in by_day.items() if at < day])}


def _utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
