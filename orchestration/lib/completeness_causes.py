"""Completeness, why a loaded offset is nowhere: a copy that another took the place of, no message, lost, or missing.

In: absent offsets of a source. Out: a cause for each. Asked in this order: the models' list of first arrivals, then the
broker while it still has the message, then the ledger's own counts of the run. What none of them can tell is unproven.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from clickhouse_connect.driver.client import Client

from ingest.contracts.check import judge
from ingest.contracts.outcome import EventLimits, Refused
from ingest.settings import Settings
from orchestration.lib.completeness import Cause, stretches
from orchestration.lib.completeness_broker import read_offsets
from orchestration.lib.completeness_ledger import SourceState
from orchestration.lib.completeness_otlp import OtlpMessages
from orchestration.lib.completeness_presence import RAW_ROWS, place

_AT_ONCE: Final = 20_000
# Any time: whether it was inside the window was judged when it was loaded.
_LIMITS: Final = EventLimits(max_age_ms=10**14, max_future_ms=10**14, max_event_bytes=64 << 20)
_WIDE: Final = {"max_query_size": 16 << 20, "max_ast_elements": 4_000_000, "max_expanded_ast_elements": 4_000_000}


@dataclass(frozen=True, slots=True)
class Explained:
    """The cause, and the event as `workspace/event_id` where it is known."""

    cause: Cause
    event: str = ""


@dataclass
class Budget:
    """Messages that may still be read from the broker in this run of the check."""

    messages: int

    def take(self, low: int | None, absent: Sequence[int]) -> tuple[list[tuple[int, int]], set[int]]:
        """What of the absent offsets the broker still has and may be read: as ranges, and as offsets."""
        ranges: list[tuple[int, int]] = []
        # Up to a thousand messages between two are read rather than sought over: a seek costs a round trip.
        for first, end in stretches((offset for offset in absent if low is not None and offset >= low), 1_000):
            if self.messages < end - first:
                break
            self.messages -= end - first
            ranges.append((first, end))
        return ranges, {offset for first, end in ranges for offset in absent if first <= offset < end}


class Explainer:
    """Explains absent offsets on one installation; `firsts` is the table of first arrivals, None before it is built."""

    def __init__(self, settings: Settings, client: Client, firsts: str | None, budget: Budget) -> None:
        self._settings, self._client, self._firsts, self.budget = settings, client, firsts, budget
        self._raw, self._ops = settings.database("raw"), settings.database("ops")
        self._otlp = OtlpMessages(settings, client)

    def explain(self, state: SourceState, absent: Sequence[int]) -> dict[int, Explained]:
        """A cause for each of the offsets, all of them below the source's floor."""
        found = {} if self._otlp.knows(state.key.topic) else self._by_firsts(state, absent)
        found |= self._by_broker(state, [offset for offset in absent if offset not in found])
        found |= self._by_ledger(state, [offset for offset in absent if offset not in found])
        return {offset: found.get(offset, Explained(Cause.UNPROVEN)) for offset in absent}

    def _by_firsts(self, state: SourceState, absent: Sequence[int]) -> dict[int, Explained]:
        """Offsets that were the first arrival of an event: a copy where raw has a later arrival of it, else missing."""
        if self._firsts is None:
            return {}
        found: dict[int, Explained] = {}
        for chunk in _chunks(absent):
            rows = self._client.query(
                f"""
                with firsts as (
                    select workspace_id, event_id, kafka_offset, bitNot(before) as version from {self._firsts}
                    where topic = {{topic:String}} and kafka_partition = {{partition:Int32}}
                        and loaded_at >= {{since:DateTime64(3, 'UTC')}} and loaded_at < {{until:DateTime64(3, 'UTC')}}
                        and kafka_offset in ({_literals(chunk)})
                )
                select
                    firsts.kafka_offset,
                    any(concat(firsts.workspace_id, '/', toString(firsts.event_id))),
                    max(rows._version) > max(firsts.version)
                from firsts
                left join (
                    select workspace_id, event_id, _version from {self._raw}.agent_events
                    where (workspace_id, event_id) in (select workspace_id, event_id from firsts)
                ) as rows
                    on firsts.workspace_id = rows.workspace_id and firsts.event_id = rows.event_id
                group by firsts.kafka_offset
                """,  # noqa: S608  # our own tables' names and integers
                parameters=place(state),
                settings={**_WIDE, "join_use_nulls": 0},
            ).result_rows
            for offset, event, is_copy in rows:
                found[int(offset)] = Explained(Cause.COPY if is_copy else Cause.MISSING, str(event))
        return found

    def _by_broker(self, state: SourceState, absent: Sequence[int]) -> dict[int, Explained]:
        """What the broker still has, read again: within its reach an offset that is not given is no message."""
        ranges, wanted = self.budget.take(state.low, absent)
        found = dict.fromkeys(wanted, Explained(Cause.NOT_A_MESSAGE))
        if not wanted:
            return {}
        read = (one for one in read_offsets(self._settings, state.key, ranges) if one.offset in wanted)
        if self._otlp.knows(state.key.topic):
            return found | {at: Explained(cause) for at, cause in self._otlp.sort(state, read).items()}
        events: dict[int, tuple[str, UUID]] = {}
        for message in read:
            verdict = judge(message.payload or b"", judged_at_ms=0, limits=_LIMITS)
            found[message.offset] = Explained(Cause.MISSING)
            if not isinstance(verdict, Refused):
                events[message.offset] = (verdict.event.workspace_id, UUID(verdict.event.event_id))
        copies = self._replaced(state, events)
        for offset, (workspace, event_id) in events.items():
            cause = Cause.COPY if offset in copies else Cause.MISSING
            found[offset] = Explained(cause, f"{workspace}/{event_id}")
        return found

    def _replaced(self, state: SourceState, events: Mapping[int, tuple[str, UUID]]) -> set[int]:
        """Offsets whose event has a later arrival in raw: a higher offset of the same source, or a row that was taken
        in after the run of the offset had been claimed."""
        copies: set[int] = set()
        for chunk in _chunks(sorted(events)):
            # judge() has let through only [A-Za-z0-9._:-] and hexadecimal: nothing here can end a quoted string.
            wanted = ", ".join(f"({offset}, '{events[offset][0]}', '{events[offset][1]}')" for offset in chunk)
            rows = self._client.query(
                f"""
                with wanted as (
                    select
                        tupleElement(one, 1) as kafka_offset,
                        tupleElement(one, 2) as workspace_id,
                        toUUID(tupleElement(one, 3)) as event_id
                    from (select arrayJoin([{wanted}]) as one)
                ),
                claimed as (
                    select wanted.*, claims.claimed_at as claimed_at
                    from (select *, 1 as one from wanted) as wanted
                    asof left join (
                        select 1 as one, first_offset, min(claimed_at) as claimed_at from {self._ops}.load_claims
                        where topic = {{topic:String}} and topic_id = {{topic_id:String}}
                            and partition = {{partition:Int32}}
                        group by first_offset
                    ) as claims
                        on wanted.one = claims.one and wanted.kafka_offset >= claims.first_offset
                )
                select distinct claimed.kafka_offset
                from claimed
                inner join (
                    select workspace_id, event_id, _offset, _loaded_at,
                        {RAW_ROWS} and _partition = {{partition:Int32}} as is_same_source
                    from {self._raw}.agent_events
                    where (workspace_id, event_id) in (select workspace_id, event_id from wanted)
                ) as rows
                    on claimed.workspace_id = rows.workspace_id and claimed.event_id = rows.event_id
                where if(
                    rows.is_same_source,
                    rows._offset > claimed.kafka_offset,
                    rows._loaded_at >= claimed.claimed_at
                )
                """,  # noqa: S608  # our own tables' names, checked identifiers
                parameters=place(state),
                settings={**_WIDE, "join_use_nulls": 0},
            ).result_rows
            copies |= {int(offset) for (offset,) in rows}
        return copies

    def _by_ledger(self, state: SourceState, absent: Sequence[int]) -> dict[int, Explained]:
        """Runs that counted fewer messages than offsets when they were read say how many were lost or none at all."""
        if not absent:
            return {}
        runs = self._client.query(
            f"""
            select first_offset, last_offset, max(lost), max(last_offset - first_offset + 1 - messages - lost)
            from {self._ops}.load_batches
            where topic = {{topic:String}} and topic_id = {{topic_id:String}} and partition = {{partition:Int32}}
                and last_offset >= {{first:Int64}} and first_offset <= {{last:Int64}}
                and last_offset - first_offset + 1 > messages
            group by first_offset, last_offset
            """,  # noqa: S608  # our own table's name
            parameters={**place(state), "first": absent[0], "last": absent[-1]},
        ).result_rows
        found: dict[int, Explained] = {}
        for first, last, lost, holes in runs:
            inside = [offset for offset in absent if first <= offset <= last and offset not in found]
            found |= dict.fromkeys(inside[: int(lost)], Explained(Cause.LOST))
            found |= dict.fromkeys(inside[int(lost) : int(lost) + max(0, int(holes))], Explained(Cause.NOT_A_MESSAGE))
        return found


def _chunks(offsets: Sequence[int]) -> Iterable[Sequence[int]]:
    for start in range(0, len(offsets), _AT_ONCE):
        yield offsets[start : start + _AT_ONCE]


def _literals(offsets: Iterable[int]) -> str:
    return ", ".join(str(offset) for offset in offsets)
