"""The decoder of canonical agent events: columns, not rows.

Fast path: msgspec fills and checks a struct per message, then whole columns are checked at once (columns.py), by the
list of rules in ingest/contracts/check.py. Only rows that miss a rule go through judge(), the careful path, which costs
tens of times as much and gives the reasons. Both give the same columns for an event both accept (property-tested).
Chunks of a thousand events become Arrow while they are in the processor's cache: 5.0 µs an event, in whole batches 7.5.
Pieces of sixteen such chunks are checked as columns and stay apart: what lives only on the way to them stays small.
"""

import re
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.contracts.agent_event import DECODER, AgentEvent
from ingest.contracts.check import judge
from ingest.contracts.outcome import EventLimits, Refused
from ingest.loader.columns import Columns
from ingest.loader.contexts import Contexts
from ingest.loader.run import Decoded, Headers, Rejected

CHUNK_EVENTS = 1024
PIECE_EVENTS = 16 * CHUNK_EVENTS
_NO_VALUE = "message: expected a JSON object, came a message without a value (a tombstone)."


class AgentEventDecoder:
    """Decoder (see run.py) for the topic of canonical events; threads may share it."""

    def __init__(self, limits: EventLimits) -> None:
        self._limits = limits
        self._contexts = Contexts(limits)

    def decode(self, values: Sequence[bytes | None], judged_at_ms: int, _: Sequence[Headers | None] = ()) -> Decoded:
        """Never raises for any bytes. Rows come back in the order of the messages."""
        rejected: list[Rejected] = []
        dropped: dict[str, int] = {}
        pieces, origins = [], []
        for start in range(0, max(len(values), 1), PIECE_EVENTS):
            rows, origin = self._piece(
                range(start, min(start + PIECE_EVENTS, len(values))), values, judged_at_ms, rejected, dropped
            )
            pieces.append(rows)
            origins.append(origin)
        table = pa.Table.from_batches(pieces)
        times = pc.min_max(table.column("occurred_at").cast(pa.int64()))
        return Decoded(
            rows=table,
            origin=pa.array(np.concatenate(origins), pa.int32()),
            rejected=rejected,
            dropped_fields=dropped,
            min_occurred_ms=times["min"].as_py(),
            max_occurred_ms=times["max"].as_py(),
        )

    def _piece(
        self,
        part: range,
        values: Sequence[bytes | None],
        judged_at_ms: int,
        rejected: list[Rejected],
        dropped: dict[str, int],
    ) -> tuple[pa.RecordBatch, npt.NDArray[np.int32]]:
        """The rows of a part of the messages and where each came from; adds to `rejected` and `dropped`."""
        columns = Columns(self._limits, self._contexts, judged_at_ms)
        careful: list[int] = []
        for start in range(part.start, part.stop, CHUNK_EVENTS):
            careful += self._fast(columns, start, values[start : min(start + CHUNK_EVENTS, part.stop)])
        missed, rows, origin = columns.finish()
        if careful or missed:
            judged = Columns(self._limits, self._contexts, judged_at_ms, is_judged=True)
            self._careful(judged, sorted(careful + missed), values, judged_at_ms, rejected, dropped)
            _, more, more_origin = judged.finish()
            origin = np.concatenate([origin, more_origin])
            order = np.argsort(origin, kind="stable")
            rows, origin = pa.concat_batches([rows, more]).take(pa.array(order)), origin[order]
        return rows, origin

    def _fast(self, columns: Columns, start: int, chunk: Sequence[bytes | None]) -> list[int]:
        """Adds the chunk's events; returns the indexes of those that only the careful path can decide."""
        size = self._limits.max_event_bytes
        if _is_plain(chunk, size):
            try:
                columns.add(range(start, start + len(chunk)), list(map(DECODER.decode, chunk)))  # type: ignore[arg-type]
                return []
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                pass
        events, origin, careful = [], [], []
        for index, value in enumerate(chunk, start):
            event = _decoded(value, size)
            if event is None:
                careful.append(index)
            else:
                events.append(event)
                origin.append(index)
        columns.add(origin, events)
        return careful

    def _careful(
        self,
        columns: Columns,
        indexes: Sequence[int],
        values: Sequence[bytes | None],
        judged_at_ms: int,
        rejected: list[Rejected],
        dropped: dict[str, int],
    ) -> None:
        """Judges the messages one by one; adds to `columns`, `rejected` and `dropped` what comes of them."""
        events, origin = [], []
        for index in indexes:
            value = values[index]
            if value is None:
                rejected.append(Rejected(index, "malformed_json", "", _NO_VALUE))
                continue
            verdict = judge(value, judged_at_ms=judged_at_ms, limits=self._limits)
            if isinstance(verdict, Refused):
                rejected.append(Rejected(index, verdict.error_class, verdict.field, verdict.reason))
                continue
            events.append(verdict.event)
            origin.append(index)
            for prefix, counts in (("denied.", verdict.dropped), ("unknown.", verdict.unknown)):
                for name, hits in counts.items():
                    dropped[prefix + name] = dropped.get(prefix + name, 0) + hits
            if verdict.unknown_lost:
                dropped["unknown_lost"] = dropped.get("unknown_lost", 0) + verdict.unknown_lost
        columns.add(origin, events)


# An address in a string of the message, as far as bytes tell: an `@` with a dot after it before the string ends (so
# that `model@20240620` passes). Python finds a pattern that starts with a literal as fast as memchr.
_ADDRESS = re.compile(rb'@[^\s@"]*\.')


def _may_hold_address(text: bytes) -> bool:
    """False only where no string can hold an e-mail address; an escape could spell any character.

    One byte is looked for first: that takes a hundredth of what two or a pattern take.
    """
    return (
        (b"@" in text and _ADDRESS.search(text) is not None)
        or (b"\\" in text and b"\\u" in text)
        or (b"%" in text and b"%40" in text)
    )


def _is_plain(chunk: Sequence[bytes | None], max_bytes: int) -> bool:
    """Whether no message of the chunk is missing, too large or could hold an address."""
    try:
        text = b"\x00".join(chunk)  # type: ignore[arg-type]  # a missing one raises
    except TypeError:
        return False
    return max(map(len, chunk)) <= max_bytes and not _may_hold_address(text)  # type: ignore[arg-type]


def _decoded(value: bytes | None, max_bytes: int) -> AgentEvent | None:
    if value is None or len(value) > max_bytes or _may_hold_address(value):
        return None
    try:
        return DECODER.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
