"""Completeness, what is there: offsets of each day that raw or the dead letters hold, and which loaded ones are absent.

In: a client, databases, the tables each topic lands in, and sources. Out: counts by day, and the absent offsets of each
source, ascending and bounded. A block of offsets is counted first; only blocks that come out short are compared one by
one. A message of OTLP is many rows in several tables: its offset is there when one of them is.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from clickhouse_connect.driver.client import Client

from ingest.loader.times import sql_time
from orchestration.lib.completeness import Counts, DayRange
from orchestration.lib.completeness_ledger import SourceState

BLOCK: Final = 65_536
# Offsets that one comparison may span: their set takes some tens of MB in the engine.
_COMPARED_AT_ONCE: Final = 16 * BLOCK
MOST_ABSENT: Final = 500_000

RAW_ROWS: Final = (
    "_topic = {topic:String} and _loaded_at >= {since:DateTime64(3, 'UTC')} "
    "and _loaded_at < {until:DateTime64(3, 'UTC')}"
)
_DEAD_ROWS: Final = "_topic = {topic:String} and _topic_id = {topic_id:String}"
_NEVER: Final = "2200-01-01 00:00:00.000"


@dataclass
class Presence:
    """`by_day`: counts of each range of `state.days`, without the causes of what is absent. `absent`: loaded offsets
    that are nowhere; `uncompared` of them were too many to be looked at one by one."""

    state: SourceState
    by_day: list[Counts]
    absent: list[int] = field(default_factory=list)
    uncompared: int = 0


Tables = Mapping[str, Sequence[str]]
"""By topic the tables of raw that its messages land in, by name without database; `EVENTS` where a message is a row."""

EVENTS: Final = ("agent_events",)


def count_presence(client: Client, raw: str, tables: Tables, states: Sequence[SourceState]) -> list[Presence]:
    """What is there of each source. Sources of one topic incarnation are read in one pass over raw."""
    by_topic: dict[tuple[str, str, datetime, datetime | None], list[SourceState]] = defaultdict(list)
    for state in states:
        by_topic[state.key.topic, state.key.topic_id, state.since, state.until].append(state)
    found = []
    for group in by_topic.values():
        of_topic = tables[group[0].key.topic]
        blocks = _blocks(client, raw, of_topic, group)
        found += [_presence(client, raw, of_topic, state, blocks) for state in group]
    return found


@dataclass(frozen=True, slots=True)
class _Block:
    """Distinct offsets of one block: all, those in raw, those below the floor; rows of raw."""

    present: int = 0
    landed: int = 0
    loaded: int = 0
    rows: int = 0


def _blocks(
    client: Client, raw: str, tables: Sequence[str], group: Sequence[SourceState]
) -> dict[tuple[int, int, int], _Block]:
    """By (partition, first offset of the day, number of the block in it)."""
    ranges = [(state, day) for state in group for day in state.days if len(day)]
    if not ranges:
        return {}
    first = group[0]
    rows = client.query(
        f"""
        select
            found._partition as kafka_partition,
            ranges.first_offset,
            intDiv(found._offset - ranges.first_offset, {BLOCK}) as block,
            uniqExact(found._offset),
            uniqExactIf(found._offset, found.is_landed),
            uniqExactIf(found._offset, found._offset < ranges.floor),
            sumIf(found.times, found.is_landed)
        from (
            {_landed(raw, tables)}
            union all
            select _partition, _offset, false as is_landed, 1 as times
            from {raw}.dead_letters final where {_DEAD_ROWS}
        ) as found
        asof inner join (
            select
                tupleElement(one, 1) as _partition,
                tupleElement(one, 2) as first_offset,
                tupleElement(one, 3) as end_offset,
                tupleElement(one, 4) as floor
            from (select arrayJoin({{ranges:Array(Tuple(Int32, Int64, Int64, Int64))}}) as one)
        ) as ranges
            on found._partition = ranges._partition and found._offset >= ranges.first_offset
        where found._offset < ranges.end_offset
        group by all
        """,  # noqa: S608  # our own tables' names
        parameters={
            **place(first),
            "ranges": [(state.key.partition, day.first, day.end, state.floor) for state, day in ranges],
            "least": min(day.first for _, day in ranges),
        },
    ).result_rows
    return {
        (int(partition), int(begin), int(number)): _Block(int(present), int(landed), int(loaded), int(count))
        for partition, begin, number, present, landed, loaded, count in rows
    }


def _landed(raw: str, tables: Sequence[str]) -> str:
    """Offsets of one topic that raw holds, `times` as often as they landed: rows of an event, and of OTLP one more for
    each record that is there a second time."""
    if tables == EVENTS:
        return f"select _partition, _offset, true as is_landed, 1 as times from {raw}.agent_events where {RAW_ROWS}"  # noqa: S608
    rows = " union all ".join(
        f"select _partition, _offset, _index from {raw}.{table} where {RAW_ROWS} "  # noqa: S608  # our own tables' names
        "and _offset >= {least:Int64}"
        for table in tables
    )
    times = "1 + count() - uniqExact(_index)"
    return f"select _partition, _offset, true as is_landed, {times} as times from ({rows}) group by _partition, _offset"  # noqa: S608


def place(state: SourceState) -> dict[str, object]:
    """Parameters that name one source's rows in raw and in the dead letters. Times as text: a parameter would be cut to
    whole seconds, in which a topic can be deleted and made anew."""
    return {
        "topic": state.key.topic,
        "topic_id": state.key.topic_id,
        "partition": state.key.partition,
        "since": sql_time(_ms(state.since)),
        "until": sql_time(_ms(state.until)) if state.until is not None else _NEVER,
    }


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000)


def _presence(
    client: Client, raw: str, tables: Sequence[str], state: SourceState, blocks: dict[tuple[int, int, int], _Block]
) -> Presence:
    by_day, short = [], []
    for day in state.days:
        counts = Counts(produced=len(day))
        present = 0
        for number, (begin, end) in enumerate(_cut(day)):
            block = blocks.get((state.key.partition, day.first, number), _Block())
            present += block.present
            counts.landed += block.landed
            counts.dead_letters += block.present - block.landed
            counts.landed_twice += block.rows - block.landed
            loaded_end = min(end, state.floor)
            if loaded_end > begin and block.loaded < loaded_end - begin:
                short.append((begin, loaded_end))
        by_day.append(counts)
    found = Presence(state, by_day)
    for begin, end in _joined(short):
        room = MOST_ABSENT - len(found.absent)
        if room <= 0:
            break
        found.absent += _absent(client, raw, tables, state, begin, end, room)
    for counts, day in zip(by_day, state.days, strict=True):
        loaded = max(0, min(day.end, state.floor) - day.first)
        beyond = len(day) - loaded
        there_beyond = sum(
            block.present - block.loaded
            for (partition, first, _), block in blocks.items()
            if partition == state.key.partition and first == day.first
        )
        counts.waiting = max(0, beyond - there_beyond) if len(day) else 0
        absent = len(day) - counts.landed - counts.dead_letters - counts.waiting
        listed = sum(day.first <= offset < day.end for offset in found.absent)
        found.uncompared += max(0, absent - listed)
        counts.unproven += max(0, absent - listed)
    return found


def _cut(day: DayRange) -> Iterator[tuple[int, int]]:
    for begin in range(day.first, day.end, BLOCK):
        yield begin, min(begin + BLOCK, day.end)


def _joined(short: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Neighbouring blocks as one, as far as one comparison may span."""
    begin = end = None
    for first, last in short:
        if begin is not None and end == first and last - begin <= _COMPARED_AT_ONCE:
            end = last
            continue
        if begin is not None and end is not None:
            yield begin, end
        begin, end = first, last
    if begin is not None and end is not None:
        yield begin, end


def _absent(
    client: Client, raw: str, tables: Sequence[str], state: SourceState, begin: int, end: int, room: int
) -> list[int]:
    """Offsets of [begin, end) that are neither in raw nor dead letters, ascending, at most `room`."""
    landed = " union all ".join(
        f"select _offset from {raw}.{table} where {RAW_ROWS} "  # noqa: S608  # our own tables' names
        "and _partition = {partition:Int32} and _offset between {begin:Int64} and {last:Int64}"
        for table in tables
    )
    rows = client.query(
        f"""
        select toInt64(number) as kafka_offset from numbers({{begin:UInt64}}, {{width:UInt64}})
        where kafka_offset not in (
            {landed}
            union all
            select _offset from {raw}.dead_letters where {_DEAD_ROWS}
                and _partition = {{partition:Int32}} and _offset between {{begin:Int64}} and {{last:Int64}}
        )
        order by kafka_offset
        limit {{room:UInt64}}
        """,  # noqa: S608  # our own tables' names
        parameters={
            **place(state),
            "begin": begin,
            "last": end - 1,
            "width": end - begin,
            "room": room,
        },
    ).result_rows
    return [int(offset) for (offset,) in rows]
