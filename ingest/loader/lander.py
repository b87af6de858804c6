"""Takes one batch through the protocol of docs/guarantees.md: claim, refuse, land, done.

In: a Batch. Out: Landed, Fenced or Failed; never raises. Called from worker threads; the claims of one source come in
order because the loop hands out its batches one after the other (see `claim`), while inserts overlap.
"""

import itertools
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import structlog
from clickhouse_connect.driver.client import Client

from ingest.loader.clock import Clock
from ingest.loader.dead_letters import DeadLetters
from ingest.loader.ledger import Ledger
from ingest.loader.metrics import Metric, Metrics
from ingest.loader.rejects import RejectGuard
from ingest.loader.retry import Retrier, first_line
from ingest.loader.run import (
    Batch,
    Claim,
    Decoded,
    Failed,
    Fenced,
    Landed,
    Messages,
    OtherRows,
    Outcome,
    Rejected,
    Run,
    Stream,
)
from ingest.loader.sending import Sending, with_origin
from ingest.warehouse_errors import ErrorKind, kind_of

# A run claimed longer ago than this may have been finished by somebody else: ask before sending its rows.
STALE_CLAIM_S: Final = 5.0
REFUSED_BY_ENGINE: Final = "refused_by_engine"
# Of rows as Arrow; more are cut by offsets. A message of OTLP becomes rows that all repeat its resource.
MOST_INSERT_BYTES: Final = 256 << 20

log = structlog.get_logger()


class Lander:
    """One per process, shared by its worker threads."""

    def __init__(
        self,
        client: Client,
        ledger: Ledger,
        dead_letters: DeadLetters,
        guard: RejectGuard,
        retrier: Retrier,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._dead_letters = dead_letters
        self._guard = guard
        self._retrier = retrier
        self._metrics = metrics
        self._clock = clock

    def claim(self, batch: Batch) -> Claim:
        """Decides the batch's bounds for everybody, or learns how they were decided."""
        if batch.claim is not None:
            return batch.claim
        now_ms, attempts = self._clock.now_ms(), itertools.count()
        return self._retrier.call(
            f"claiming {batch.run}", lambda: self._ledger.claim(batch.run, now_ms, next(attempts))
        )

    def land(self, stream: Stream, batch: Batch, claimed: threading.Event) -> Outcome:
        """The whole protocol for one batch.

        `claimed` is set once its bounds hold, and only then: a next claim made after a failed or fenced one would
        begin in the middle of somebody's run.
        """
        try:
            claimed_at_s = self._clock.monotonic()
            claim = self.claim(batch)
            if claim.run != batch.run or (batch.claim is None and claim.owner != self._ledger.owner):
                self._metrics.count(Metric.FENCED, topic=batch.run.source.topic)
                log.info("fenced", run=str(batch.run), by=claim.owner, claimed_to=claim.run.last)
                return Fenced(batch.run.source, claim)
            claimed.set()
            return self._carry_out(stream, batch, claim, claimed_at_s)
        except Exception as error:  # noqa: BLE001  # the boundary of a worker thread: the loop decides what it means
            return Failed(batch.run, error)

    def _carry_out(self, stream: Stream, batch: Batch, claim: Claim, claimed_at_s: float) -> Outcome:
        messages = batch.messages
        decoded = stream.decoder.decode(messages.values, claim.judged_at_ms, messages.headers)
        self._guard.admit(batch.run, len(messages) if decoded.records is None else decoded.records, decoded.rejected)
        if self._clock.monotonic() - claimed_at_s > STALE_CLAIM_S and self._retrier.call(
            f"asking whether {batch.run} is done", lambda: self._ledger.is_done(batch.run)
        ):
            return _outcome(batch, decoded.row_count, len(decoded.rejected), decoded)
        rejected = list(decoded.rejected)
        is_redo = batch.claim is not None
        if rejected:
            self._refuse(stream, batch.run, messages, decoded.rejected, is_redo=is_redo)
        sent, landed = 0, decoded.row_count
        parts: list[tuple[Stream, Decoded | OtherRows]] = [
            (stream, decoded),
            *((stream.beside(one.table), one) for one in decoded.others),
        ]
        for table, part in parts:
            if not part.rows.num_rows:
                continue
            sending = Sending(self._client, table, claim, is_redo=is_redo)
            refused = self._insert(sending, batch.run, with_origin(batch.run, messages, part), messages)
            rejected += refused
            landed -= sum(one.records for one in refused)
            sent += sending.attempts
        # A message may be refused in part twice, by the decoder and by the engine for another table: it is one.
        by_class = Counter({one.index: one.error_class for one in reversed(rejected)}.values())
        attempts = itertools.count(1 if batch.claim is not None else 0)
        self._retrier.call(
            f"recording {batch.run}",
            lambda: self._ledger.finish(batch, claim, decoded, landed, by_class, sent, next(attempts)),
        )
        self._measure(batch, decoded, landed, by_class)
        return _outcome(batch, landed, by_class.total(), decoded)

    def _refuse(
        self,
        stream: Stream,
        run: Run,
        messages: Messages,
        rejected: Sequence[Rejected],
        *,
        is_redo: bool,
        step: str = "dead",
    ) -> None:
        attempts = itertools.count(1 if is_redo else 0)
        self._retrier.call(
            f"keeping the dead letters of {run}",
            lambda: self._dead_letters.write(stream, run, messages, rejected, next(attempts), step=step),
        )

    def _insert(self, sending: Sending, run: Run, rows: pa.Table, messages: Messages) -> list[Rejected]:
        """Lands the rows; returns those the engine refuses, after they are in the dead letters."""
        if rows.nbytes > MOST_INSERT_BYTES and len(pc.unique(rows.column("_offset"))) > 1:
            return self._insert_halves(sending, run, rows, messages)
        started_s = self._clock.monotonic()
        attempts = itertools.count(1 if sending.is_redo else 0)
        try:
            self._retrier.call(f"landing {run}", lambda: sending.send(run, rows, next(attempts)))
        except Exception as error:
            if kind_of(error) is not ErrorKind.BAD_DATA:
                raise
            return self._bisect(sending, run, rows, messages, error)
        self._metrics.observe(Metric.INSERT_SECONDS, self._clock.monotonic() - started_s, table=sending.stream.table)
        return []

    def _bisect(
        self, sending: Sending, run: Run, rows: pa.Table, messages: Messages, error: Exception
    ) -> list[Rejected]:
        """Finds the message that the engine refuses by halving the run; keeps it as a dead letter."""
        offsets = rows.column("_offset")
        if len(pc.unique(offsets)) > 1:
            return self._insert_halves(sending, run, rows, messages)
        offset, stream = offsets[0].as_py(), sending.stream
        index = messages.offsets.index(offset)
        value, headers = messages.values[index], messages.headers[index] if messages.headers else None
        kept = stream.salvage(value or b"", headers) if stream.salvage is not None else None
        reason = f"ClickHouse: {first_line(error)}"
        refused = [Rejected(index, REFUSED_BY_ENGINE, "", reason, payload=kept, records=rows.num_rows)]
        # Another step than that of the decoder's own: the same message may have records that it refused.
        alone = Run(run.source, offset, offset)
        self._refuse(stream, alone, messages, refused, is_redo=sending.is_redo, step=f"dead:{_table_name(stream)}")
        return refused

    def _insert_halves(self, sending: Sending, run: Run, rows: pa.Table, messages: Messages) -> list[Rejected]:
        """Halves the run by offsets, the same way whoever does it, so that each half's token is the same again."""
        offsets = rows.column("_offset")
        middle = (run.first + run.last) // 2
        refused: list[Rejected] = []
        for bounds, mask in (
            (Run(run.source, run.first, middle), pc.less_equal(offsets, middle)),
            (Run(run.source, middle + 1, run.last), pc.greater(offsets, middle)),
        ):
            part = rows.filter(mask)
            if part.num_rows:
                refused += self._insert(sending, bounds, part, messages)
        return refused

    def _measure(self, batch: Batch, decoded: Decoded, landed: int, by_class: Counter[str]) -> None:
        topic, metrics, now_ms = batch.run.source.topic, self._metrics, self._clock.now_ms()
        metrics.count(Metric.RUNS_REDONE if batch.claim is not None else Metric.RUNS_DONE, topic=topic)
        metrics.count(Metric.ROWS_LANDED, landed, topic=topic)
        metrics.observe(Metric.BATCH_ROWS, len(batch.messages), topic=topic)
        metrics.observe(Metric.BATCH_AGE_SECONDS, self._clock.monotonic() - batch.oldest_read_s, topic=topic)
        metrics.count(Metric.FIELDS_DROPPED, sum(decoded.dropped_fields.values()), topic=topic)
        metrics.count(Metric.LOST_OFFSETS, batch.lost, topic=topic)
        for error_class, hits in by_class.items():
            metrics.count(Metric.REJECTED, hits, topic=topic, error_class=error_class)
        if batch.messages.appended_ms:
            waited_ms = max(0, now_ms - batch.messages.appended_ms[0])
            metrics.observe(Metric.APPENDED_TO_LANDED_SECONDS, waited_ms / 1000, topic=topic)
        if decoded.min_occurred_ms is not None:
            metrics.observe(
                Metric.EVENT_TO_LANDED_SECONDS, max(0, now_ms - decoded.min_occurred_ms) / 1000, topic=topic
            )


def _table_name(stream: Stream) -> str:
    return stream.table.rpartition(".")[2]


def _outcome(batch: Batch, landed: int, rejected: int, decoded: Decoded) -> Landed:
    return Landed(
        run=batch.run,
        messages=len(batch.messages),
        landed=landed,
        rejected=rejected,
        lost=batch.lost,
        size=batch.size,
        max_appended_ms=max(batch.messages.appended_ms, default=None),
        max_occurred_ms=decoded.max_occurred_ms,
        min_occurred_ms=decoded.min_occurred_ms,
    )
