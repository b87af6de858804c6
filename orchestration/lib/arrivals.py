"""What has landed, from ops.load_progress and ops.load_batches, and what the arrival sensor makes of it.

In: a client, the cursor of the last tick, the time. Out: what moved, in numbers, and a Decision, by pure functions.
Offsets decide, not times: a batch that becomes visible late is counted at the tick that sees it, and by none twice.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from orchestration.lib.quality_finding import read_topics

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from ingest.settings import Settings

# Where nothing lands, lag and completeness are still noted so often.
OBSERVE_EVERY_S: Final = 300


@dataclass(frozen=True, slots=True)
class Partition:
    """How far one partition of one topic is in, by its newest report."""

    topic: str
    topic_id: str
    number: int
    next_offset: int
    lag: int
    complete_to: datetime | None
    reported_at: datetime

    @property
    def key(self) -> str:
        return f"{self.topic}:{self.topic_id}:{self.number}"


@dataclass(frozen=True, slots=True)
class Landed:
    """What is in, of the offsets between two ticks."""

    rows: int = 0
    rejected: int = 0
    lost: int = 0
    batches: int = 0
    messages: int = 0

    @classmethod
    def sum(cls, parts: Iterable["Landed"]) -> "Landed":
        """All of them together."""
        total = cls()
        for one in parts:
            total = cls(
                total.rows + one.rows,
                total.rejected + one.rejected,
                total.lost + one.lost,
                total.batches + one.batches,
                total.messages + one.messages,
            )
        return total


class Cursor(msgspec.Struct, frozen=True):
    """What the last ticks saw: next offsets when last looked, and when marts were last started; times in epoch ms."""

    seen: dict[str, int] = msgspec.field(default_factory=dict)
    built: dict[str, int] = msgspec.field(default_factory=dict)
    built_at_ms: int = 0
    observed_at_ms: int = 0

    @classmethod
    def read(cls, text: str | None) -> "Cursor":
        """An empty or unreadable one (of another version) begins anew: that starts one run too many, and loses none."""
        try:
            return msgspec.json.decode(text or "", type=cls)
        except msgspec.MsgspecError:
            return cls()

    def text(self) -> str:
        return msgspec.json.encode(self).decode()


@dataclass(frozen=True, slots=True)
class Decision:
    """What a tick does. `run_key` is set where marts are to be built; `words` say what was seen, in numbers."""

    words: str
    run_key: str | None
    is_observed: bool
    cursor: Cursor


def decide(
    cursor: Cursor, partitions: Sequence[Partition], now: datetime, running: Sequence[str], at_most_every_s: int
) -> Decision:
    """Starts marts where something landed since they were last started, not too soon, and not beside themselves."""
    offsets = {one.key: one.next_offset for one in partitions}
    now_ms = int(now.timestamp() * 1000)
    new, waiting = _moved(cursor.seen, offsets), _moved(cursor.built, offsets)
    state = describe(partitions)
    # A time that is ahead was noted before the clock was set back: it is not waited for.
    since_built_ms, since_observed_ms = now_ms - cursor.built_at_ms, now_ms - cursor.observed_at_ms
    is_observed = bool(partitions) and (new > 0 or not 0 <= since_observed_ms < OBSERVE_EVERY_S * 1000)
    looked = msgspec.structs.replace(
        cursor, seen=offsets, observed_at_ms=now_ms if is_observed else cursor.observed_at_ms
    )
    if not waiting:
        return Decision(f"nothing landed since marts were last started; {state}", None, is_observed, looked)
    if running:
        words = f"{waiting:,} messages landed that marts do not have, but {running[0]} is under way; {state}"
        return Decision(words, None, is_observed, looked)
    if 0 <= since_built_ms < at_most_every_s * 1000:
        wait_s = at_most_every_s - since_built_ms // 1000
        words = f"{waiting:,} messages landed that marts do not have; the next build is due in {wait_s} s; {state}"
        return Decision(words, None, is_observed, looked)
    return Decision(
        f"{waiting:,} messages landed that marts do not have; {state}",
        # Of what it builds: a tick that is repeated after a crash asks for the same run, which Dagster starts once.
        f"marts:{hashlib.sha256(msgspec.json.encode(sorted(offsets.items()))).hexdigest()[:16]}",
        is_observed,
        msgspec.structs.replace(looked, built=offsets, built_at_ms=now_ms),
    )


def _moved(before: Mapping[str, int], after: Mapping[str, int]) -> int:
    return sum(max(0, offset - before.get(key, 0)) for key, offset in after.items())


def describe(partitions: Sequence[Partition]) -> str:
    """`3 partitions, lag 12, complete to 2026-11-23 16:40:01 UTC`."""
    complete = complete_to(partitions)
    words = "not known" if complete is None else f"{complete:%Y-%m-%d %H:%M:%S} UTC"
    return f"{len(partitions)} partitions, lag {sum(one.lag for one in partitions):,}, complete to {words}"


def complete_to(partitions: Sequence[Partition]) -> datetime | None:
    """The completeness watermark of all of them; None while one has not said."""
    ends = [one.complete_to for one in partitions]
    known = [end for end in ends if end is not None]
    return min(known) if known and len(known) == len(ends) else None


def read_partitions(client: "Client", settings: "Settings") -> list[Partition]:
    """Partitions of the topics that are read and used, each in its newest incarnation; empty before anything loaded."""
    rows = client.query(
        "select topic, topic_id, partition, next_offset, lag, complete_to, reported_at, "  # noqa: S608  # a name from checked settings
        "argMax(topic_id, reported_at) over (partition by topic) as current_id "
        f"from (select * from {settings.database('ops')}.load_progress final) where topic in {{topics:Array(String)}} "
        "qualify topic_id = current_id order by topic, partition",
        parameters={"topics": read_topics(client, settings)},
    ).result_rows
    return [
        Partition(
            str(row[0]), str(row[1]), int(row[2]), int(row[3]), int(row[4]),
            None if row[5] is None else _utc(row[5]), _utc(row[6]),
        )
        for row in rows
    ]  # fmt: skip


def read_landed(
    client: "Client", settings: "Settings", before: Mapping[str, int], partitions: Sequence[Partition]
) -> dict[str, Landed]:
    """By topic the sums of the batches between the offsets of two ticks, by the table's own order."""
    spans = [
        (one.topic, one.topic_id, one.number, before.get(one.key, 0), one.next_offset)
        for one in partitions
        if one.next_offset > before.get(one.key, 0)
    ]
    found: dict[str, Landed] = {}
    for topic, topic_id, number, first, end in spans:
        row = client.query(
            "select sum(landed), sum(rejected), sum(lost), count(), sum(messages) "  # noqa: S608  # a name from checked settings
            f"from {settings.database('ops')}.load_batches final where topic = {{topic:String}} and "
            "topic_id = {id:String} and partition = {number:Int32} and first_offset >= {first:Int64} "
            "and last_offset < {end:Int64}",
            parameters={"topic": topic, "id": topic_id, "number": number, "first": first, "end": end},
        ).result_rows[0]
        found[topic] = Landed.sum([found.get(topic, Landed()), Landed(*(int(value) for value in row))])
    return found


def numbers(partitions: Sequence[Partition], landed: Landed, now: datetime) -> dict[str, int | float | str]:
    """An observation's metadata."""
    complete = complete_to(partitions)
    oldest_report = min((one.reported_at for one in partitions), default=None)
    metadata: dict[str, int | float | str] = {
        "rows_landed": landed.rows,
        "rejected": landed.rejected,
        "lost": landed.lost,
        "batches": landed.batches,
        "messages": landed.messages,
        "lag_messages": sum(one.lag for one in partitions),
        "complete_to": "not known" if complete is None else complete.isoformat(timespec="seconds"),
    }
    if complete is not None:
        metadata["behind_s"] = round(max(timedelta(0), now - complete).total_seconds(), 1)
    if oldest_report is not None:
        metadata["reported_s_ago"] = round(max(timedelta(0), now - oldest_report).total_seconds(), 1)
    return metadata


def _utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
