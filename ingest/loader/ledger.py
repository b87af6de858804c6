"""The loader's memory in ClickHouse: claims, what is done, and how far each partition is.

In: runs and counts. Out: claims as everybody sees them. The compare-and-set of `claim` rests on insert deduplication
(docs/guarantees.md); nothing is cached here. Errors are those of clickhouse-connect; the caller retries.
"""

import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from clickhouse_connect.driver.client import Client

from ingest.loader.run import Batch, Claim, Decoded, Run, Source
from ingest.loader.times import sql_time
from ingest.warehouse import insert_settings

# Claims of a source that can be open at once is the number of runs in flight; far below this many.
_MOST_CLAIMS: Final = 10_000
_READ_BACKS: Final = 6
_READ_BACK_PAUSE_S: Final = 0.3


@dataclass(frozen=True, slots=True)
class Position:
    """Where to take up a source: claims to redo first, then the offset to read on from; None: nothing known."""

    redo: tuple[Claim, ...]
    next_offset: int | None


@dataclass(frozen=True, slots=True)
class Progress:
    """One row of ops.load_progress; offsets, and times in epoch ms. `oldest_occurred_ms` is of the last run."""

    source: Source
    next_offset: int
    low_watermark: int
    high_watermark: int
    complete_to_ms: int | None
    oldest_occurred_ms: int | None
    newest_occurred_ms: int | None
    last_appended_ms: int | None
    partition_count: int


class LostClaimError(Exception):
    """A claim's token is known to the engine and its row is not (see ingest/landed.py); worth another attempt."""


class Ledger:
    """Reads and writes the ops tables as `owner`; threads may share it."""

    def __init__(self, client: Client, ops: str, owner: str) -> None:
        self._client = client
        self._ops = ops
        self.owner = owner

    def claim(self, run: Run, judged_at_ms: int, attempt: int = 0) -> Claim:
        """Claims `run` unless its first offset is claimed; returns the claim that holds, whoever's it is.

        Raises LostClaimError where the token is taken and no row is there even after a while: a later attempt (from
        1) then claims under another token too.
        """
        source = run.source
        row = {
            **_keys(source),
            "first_offset": run.first,
            "last_offset": run.last,
            "judged_at": sql_time(judged_at_ms),
            "owner": self.owner,
        }
        self.insert(f"{self._ops}.load_claims", [row], run.claim_token)
        found = self._claim_of(run)
        if found is None and attempt:
            self.insert(f"{self._ops}.load_claims", [row], f"{run.claim_token}:again")
            found = self._claim_of(run)
        if found is not None:
            return found
        raise LostClaimError(f"{run} was claimed by a token without a row")

    def _claim_of(self, run: Run) -> Claim | None:
        """The first claim of the run's first offset; None where none can be seen, even after a while."""
        for _ in range(_READ_BACKS):
            rows = self._client.query(
                "select last_offset, toUnixTimestamp64Milli(judged_at), owner "  # noqa: S608  # our own table's name
                f"from {self._ops}.load_claims where topic = {{topic:String}} and topic_id = {{topic_id:String}} "
                "and partition = {partition:Int32} and first_offset = {first:Int64} order by claimed_at limit 1",
                parameters={**_keys(run.source), "first": run.first},
            ).result_rows
            if rows:
                last, judged_at, owner = rows[0]
                return Claim(Run(run.source, run.first, int(last)), int(judged_at), str(owner))
            # Another's claim may hold the token a moment before its row can be seen.
            time.sleep(_READ_BACK_PAUSE_S)
        return None

    def take_up(self, source: Source) -> Position:
        """What is claimed and not done, and where the chain ends."""
        parameters = _keys(source)
        where = "topic = {topic:String} and topic_id = {topic_id:String} and partition = {partition:Int32}"
        # The maximum of nothing is 0, which is where a source that nobody knows begins.
        done = self._client.query(
            f"select max(next) from (select last_offset + 1 as next from {self._ops}.load_batches where {where} "  # noqa: S608
            f"union all select next_offset from {self._ops}.load_progress where {where})",
            parameters=parameters,
        ).result_rows
        rows = self._client.query(
            "select first_offset, argMin(last_offset, claimed_at) as last, "  # noqa: S608
            "toUnixTimestamp64Milli(argMin(judged_at, claimed_at)), argMin(owner, claimed_at) "
            f"from {self._ops}.load_claims where {where} and first_offset not in "
            f"(select first_offset from {self._ops}.load_batches where {where}) "
            f"group by first_offset order by first_offset limit {_MOST_CLAIMS}",
            parameters=parameters,
        ).result_rows
        redo = tuple(
            Claim(Run(source, int(first), int(last)), int(judged_at), str(owner))
            for first, last, judged_at, owner in rows
        )
        chain_end = max([int(done[0][0]), *(claim.run.last + 1 for claim in redo)])
        return Position(redo, chain_end or None)

    def is_done(self, run: Run) -> bool:
        """Whether somebody has finished this run."""
        answer = self._client.query(
            f"select count() from {self._ops}.load_batches where topic = {{topic:String}} "  # noqa: S608
            "and topic_id = {topic_id:String} and partition = {partition:Int32} and first_offset = {first:Int64}",
            parameters={**_keys(run.source), "first": run.first},
        )
        return int(answer.result_rows[0][0]) > 0

    def finish(
        self,
        batch: Batch,
        claim: Claim,
        decoded: Decoded,
        landed: int,
        rejected: Mapping[str, int],
        attempts: int,
        attempt: int,
    ) -> None:
        """Writes the proof that the run is in. `attempts` is how often the rows were sent; from the second `attempt`
        on the proof is looked for too, since a token may stand without its row."""
        messages = batch.messages
        row = {
            **_keys(claim.run.source),
            "first_offset": claim.run.first,
            "last_offset": claim.run.last,
            "messages": len(messages),
            "landed": landed,
            "rejected": sum(rejected.values()),
            "dropped": 0,
            "lost": batch.lost,
            "bytes": batch.size,
            "min_occurred_at": sql_time(decoded.min_occurred_ms),
            "max_occurred_at": sql_time(decoded.max_occurred_ms),
            "min_appended_at": sql_time(min(messages.appended_ms, default=None)),
            "max_appended_at": sql_time(max(messages.appended_ms, default=None)),
            "judged_at": sql_time(claim.judged_at_ms),
            "owner": self.owner,
            "rejected_by_class": dict(rejected),
            "dropped_fields": dict(decoded.dropped_fields),
            "insert_attempts": attempts,
        }
        self.insert(f"{self._ops}.load_batches", [row], claim.run.token("done"))
        if attempt and not self.is_done(claim.run):
            self.insert(f"{self._ops}.load_batches", [row], f"{claim.run.token('done')}:again{attempt}")

    def report(self, rows: Sequence[Progress], token: str) -> None:
        """Rewrites the rows of ops.load_progress for these sources, but for those that somebody was seen further in.

        A loader that slept does not know yet that its partitions are another's, and a request may arrive late: neither
        steps a partition back. So each row carries the engine's time of the look before it as its version.
        """
        now_ms, seen = self._client.query(
            "select toUnixTimestamp64Milli(now64(3)), groupArray((topic_id, partition, reached)) "  # noqa: S608
            f"from (select topic_id, partition, max(next_offset) as reached from {self._ops}.load_progress "
            "where topic in {topics:Array(String)} group by topic_id, partition)",
            parameters={"topics": sorted({row.source.topic for row in rows})},
        ).result_rows[0]
        reached = {(topic_id, partition): int(offset) for topic_id, partition, offset in seen}
        body = [
            {
                **_keys(row.source),
                "next_offset": row.next_offset,
                "low_watermark": row.low_watermark,
                "high_watermark": row.high_watermark,
                "lag": max(0, row.high_watermark - row.next_offset),
                "complete_to": sql_time(row.complete_to_ms),
                "oldest_occurred_at": sql_time(row.oldest_occurred_ms),
                "newest_occurred_at": sql_time(row.newest_occurred_ms),
                "last_appended_at": sql_time(row.last_appended_ms),
                "partition_count": row.partition_count,
                "reported_at": sql_time(int(now_ms)),
                "owner": self.owner,
            }
            for row in rows
            if row.next_offset >= reached.get((row.source.topic_id, row.source.partition), 0)
        ]
        if body:
            self.insert(f"{self._ops}.load_progress", body, token)

    def insert(self, table: str, rows: Sequence[Mapping[str, object]], token: str) -> None:
        """Inserts a few rows given as column -> value; times are epoch ms."""
        body = b"\n".join(msgspec.json.encode(row) for row in rows)
        self._client.raw_insert(
            table,
            column_names=list(rows[0]),
            insert_block=io.BytesIO(body),
            settings=insert_settings(self._client, token),
            fmt="JSONEachRow",
        )


def _keys(source: Source) -> dict[str, object]:
    return {"topic": source.topic, "topic_id": source.topic_id, "partition": source.partition}
