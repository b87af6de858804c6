"""Completeness, why a message of OTLP is nowhere: every record of it was sent again, it holds none, or it is missing.

In: messages as the broker still has them. Out: a cause for each. A record is looked for by what it says of itself: a
span by its ids, a log record by time and span, a point by metric and time. Only a later arrival makes a copy of it.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from ingest.contracts.outcome import EventLimits
from ingest.loader.otlp import OtlpDecoder
from ingest.settings import Settings
from ingest.signals import TABLES, Signal, signals_by_topic
from orchestration.lib.completeness import Cause
from orchestration.lib.completeness_broker import ReadMessage
from orchestration.lib.completeness_ledger import SourceState
from orchestration.lib.completeness_presence import EVENTS, RAW_ROWS, place

# Any time: whether it was inside the window was judged when it was loaded.
_LIMITS: Final = EventLimits(max_age_ms=10**13, max_future_ms=10**13, max_event_bytes=64 << 20)
_MOST_BYTES: Final = 64 << 20
_KEYS_AT_ONCE: Final = 20_000
_WIDE: Final = {"max_query_size": 16 << 20, "max_ast_elements": 4_000_000, "max_expanded_ast_elements": 4_000_000}
_KEYS: Final[Mapping[Signal, tuple[str, ...]]] = {
    "traces": ("workspace_id", "TraceId", "SpanId"),
    "logs": ("workspace_id", "Timestamp", "TraceId", "SpanId"),
    "metrics": ("workspace_id", "MetricName", "_time_unix_ns"),
}
_TIME: Final[Mapping[Signal, str]] = {"traces": "Timestamp", "logs": "Timestamp", "metrics": "_time_unix_ns"}

Key = tuple[str, str]
"""Table, and what a record says of itself as one text."""


def topic_tables(settings: Settings) -> dict[str, Sequence[str]]:
    """The tables of raw that each topic's messages land in."""
    return {
        **{settings.topic(name): EVENTS for name in settings.agent_event_topics},
        **{topic: TABLES[signal] for topic, signal in signals_by_topic(settings).items()},
    }


@dataclass
class _Asked:
    """Records that are looked for together: by message the keys of all it holds, and how far their times reach."""

    by_offset: dict[int, set[Key]] = field(default_factory=dict)
    count: int = 0
    oldest: int = 2**63 - 1
    newest: int = 0


@dataclass(frozen=True, slots=True)
class _Seen:
    """The last arrivals of a record: the highest offset of the same source, and when one of another landed."""

    offset: int
    loaded_at: datetime


class OtlpMessages:
    """Tells copies from losses on one installation."""

    def __init__(self, settings: Settings, client: Client) -> None:
        self._client = client
        self._raw, self._ops = settings.database("raw"), settings.database("ops")
        self._signals = signals_by_topic(settings)
        self._decoders = {
            signal: OtlpDecoder(signal, _LIMITS, max_bytes=_MOST_BYTES, workspace=settings.otlp_workspace)
            for signal in TABLES
        }

    def knows(self, topic: str) -> bool:
        """Whether the topic is one of OTLP."""
        return topic in self._signals

    def sort(self, state: SourceState, messages: Iterable[ReadMessage]) -> dict[int, Cause]:
        """By offset COPY, NOT_A_MESSAGE (a request without a record) or MISSING."""
        signal = self._signals[state.key.topic]
        claims = self._claims(state)
        found: dict[int, Cause] = {}
        asked = _Asked()
        for message in messages:
            if not self._add(signal, message, asked):
                found[message.offset] = Cause.NOT_A_MESSAGE
            if asked.count >= _KEYS_AT_ONCE:
                found |= self._answer(signal, state, asked, claims)
                asked = _Asked()
        return found | self._answer(signal, state, asked, claims)

    def _add(self, signal: Signal, message: ReadMessage, asked: _Asked) -> bool:
        """Whether the message holds anything that would have landed or been refused."""
        decoded = self._decoders[signal].decode([message.payload], 0, [message.headers])
        keys: set[Key] = set()
        first = TABLES[signal][0]
        for table, rows in ((first, decoded.rows), *((one.table, one.rows) for one in decoded.others)):
            if not rows.num_rows:
                continue
            columns = [_texts(rows.column(name)) for name in _KEYS[signal]]
            keys |= {(table, "\n".join(values)) for values in zip(*columns, strict=True)}
            times = rows.column(_TIME[signal]).cast(pa.int64()).to_pylist()
            asked.oldest, asked.newest = min(asked.oldest, *times), max(asked.newest, *times)
        if keys or decoded.rejected:
            # Of a message that is refused in part the dead letter is missing, whatever became of its rows.
            asked.by_offset[message.offset] = keys if not decoded.rejected else set()
            asked.count += len(keys)
        return bool(keys or decoded.rejected)

    def _answer(
        self, signal: Signal, state: SourceState, asked: _Asked, claims: Sequence[tuple[int, datetime]]
    ) -> dict[int, Cause]:
        wanted: dict[str, set[str]] = {}
        for keys in asked.by_offset.values():
            for table, key in keys:
                wanted.setdefault(table, set()).add(key)
        seen = {
            (table, key): one
            for table, texts in wanted.items()
            for key, one in self._look(signal, state, table, texts, asked).items()
        }
        return {
            offset: Cause.COPY
            if keys and all(_is_later(seen.get(key), offset, _claimed_at(claims, offset)) for key in keys)
            else Cause.MISSING
            for offset, keys in asked.by_offset.items()
        }

    def _look(self, signal: Signal, state: SourceState, table: str, texts: set[str], asked: _Asked) -> dict[str, _Seen]:
        """The last arrivals of the records, by key."""
        parts = [f"toString({_as_number(name)})" for name in _KEYS[signal]]
        workspaces = {one.partition("\n")[0] for one in texts}
        rows = self._client.query(
            f"""
            select
                arrayStringConcat([{", ".join(parts)}], char(10)) as said,
                maxIf(_offset, {RAW_ROWS} and _partition = {{partition:Int32}}),
                maxIf(_loaded_at, not ({RAW_ROWS} and _partition = {{partition:Int32}}))
            from {self._raw}.{table}
            where {_as_number(_TIME[signal])} between {asked.oldest} and {asked.newest}
                and workspace_id in ({_literals(workspaces)})
                and said in ({_literals(texts)})
            group by said
            """,  # noqa: S608  # our own tables' names, integers, and text in hexadecimal
            parameters=place(state),
            settings=_WIDE,
        ).result_rows
        return {str(said): _Seen(int(offset), loaded_at) for said, offset, loaded_at in rows}

    def _claims(self, state: SourceState) -> list[tuple[int, datetime]]:
        """First offsets of the source's runs, ascending, and when each was claimed."""
        rows = self._client.query(
            f"select first_offset, min(claimed_at) from {self._ops}.load_claims "  # noqa: S608  # our own table's name
            "where topic = {topic:String} and topic_id = {topic_id:String} and partition = {partition:Int32} "
            "group by first_offset order by first_offset",
            parameters=place(state),
        ).result_rows
        return [(int(first), claimed_at) for first, claimed_at in rows]


def _is_later(seen: _Seen | None, offset: int, claimed_at: datetime | None) -> bool:
    """Whether an arrival after that of the offset was seen."""
    if seen is None:
        return False
    return seen.offset > offset or (claimed_at is not None and seen.loaded_at >= claimed_at)


def _claimed_at(claims: Sequence[tuple[int, datetime]], offset: int) -> datetime | None:
    at = bisect_right(claims, offset, key=lambda one: one[0])
    return claims[at - 1][1] if at else None


def _as_number(column: str) -> str:
    return f"toUnixTimestamp64Nano({column})" if column == "Timestamp" else column


def _texts(column: pa.ChunkedArray) -> list[str]:
    numbers = column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
    return [str(value) for value in numbers.to_pylist()]


def _literals(texts: Iterable[str]) -> str:
    return ", ".join(f"unhex('{text.encode().hex()}')" for text in sorted(texts))
