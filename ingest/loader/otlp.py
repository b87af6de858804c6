"""The decoder of OTLP: a message is a whole export request and becomes the rows of its spans, log records or points.

In: values and headers of messages, protobuf or JSON as each is (a JSON object begins with a brace, which no request in
protobuf does). Out: Decoded, with rows for each table of the signal. A record that cannot land is refused alone, with
its neighbours landed; a message that does not decode is refused whole. Never raises for any bytes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa

from ingest.contracts.outcome import EventLimits
from ingest.contracts.privacy import scrub_payload
from ingest.loader.otlp_attributes import Counts
from ingest.loader.otlp_frame import FLAWS, Frame, Said
from ingest.loader.otlp_json import read_json
from ingest.loader.otlp_logs import explode_logs
from ingest.loader.otlp_metrics import explode_metrics
from ingest.loader.otlp_refused import fingerprint, only
from ingest.loader.otlp_rows import Exploded, TableRows, TimeWindow
from ingest.loader.otlp_traces import explode_traces
from ingest.loader.otlp_wire import OtlpBytesError, count_within, parse, read_requests
from ingest.loader.run import Decoded, Headers, OtherRows, Rejected
from ingest.signals import TABLES, Signal

WORKSPACE_HEADER: Final = "meterhouse-workspace"
ENVIRONMENT_HEADER: Final = "meterhouse-environment"
MALFORMED: Final = "malformed_otlp"
# Requests decoded together: a chunk costs 3 ms by itself (half as large: 11 µs a span instead of 8.6), and is in memory
# several times over.
_CHUNK_BYTES: Final = 1 << 20
# What a large message may hold, so that a million empty records cannot fill the memory: each takes 300 bytes of it.
MOST_RECORDS: Final = 100_000
_COUNTED_FROM_BYTES: Final = 128 << 10

_EXPLODE: Final[Mapping[Signal, Callable[[Frame, TimeWindow, Counts], Exploded]]] = {
    "traces": explode_traces,
    "logs": explode_logs,
    "metrics": explode_metrics,
}
_RECORD: Final[Mapping[Signal, str]] = {"traces": "spans", "logs": "log records", "metrics": "points"}


@dataclass(slots=True)
class _Work:
    """What is gathered over the chunks of one batch."""

    tables: dict[str, list[TableRows]] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    counts: Counts = field(default_factory=dict)
    records: int = 0
    oldest: int | None = None
    newest: int | None = None


@dataclass(frozen=True, slots=True)
class _Message:
    """One message on its way: its place in the batch, its request in protobuf, and what its headers say."""

    index: int
    payload: bytes
    said: Said


class OtlpDecoder:
    """Decoder (see run.py) of one signal; threads may share it. `workspace` is that of messages that name none."""

    def __init__(self, signal: Signal, limits: EventLimits, *, max_bytes: int, workspace: str = "") -> None:
        self._signal = signal
        self._limits = limits
        self._max_bytes = max_bytes
        self._workspace = workspace

    def decode(
        self, values: Sequence[bytes | None], judged_at_ms: int, headers: Sequence[Headers | None] = ()
    ) -> Decoded:
        """Rows come in the order of the messages; each refused message is there once, whatever number of records."""
        work = _Work()
        window = TimeWindow(
            (judged_at_ms - self._limits.max_age_ms) * 10**6,
            (judged_at_ms + self._limits.max_future_ms) * 10**6,
            judged_at_ms * 10**6,
        )
        for chunk in _chunks(self._read(values, headers, work)):
            self._explode(chunk, window, work)
        first, *others = [_table(name, work.tables.get(name, ())) for name in TABLES[self._signal]]
        return Decoded(
            rows=first.rows,
            origin=first.origin,
            rejected=sorted(work.rejected, key=lambda one: one.index),
            dropped_fields={f"denied.{rule}": hits for rule, hits in work.counts.items()},
            min_occurred_ms=None if work.oldest is None else work.oldest // 10**6,
            max_occurred_ms=None if work.newest is None else work.newest // 10**6,
            others=tuple(one for one in others if one.rows.num_rows),
            records=work.records,
        )

    def salvage(self, value: bytes, headers: Headers | None) -> bytes:
        """What may be kept of a message whose rows the engine refuses: all of it, scrubbed, as OTLP's JSON."""
        try:
            request = read_json(self._signal, value) if value[:1] == b"{" else parse(self._signal, value)
        except OtlpBytesError:
            return fingerprint(value)
        return only(request, range(MOST_RECORDS), _said(headers))

    def _read(
        self, values: Sequence[bytes | None], headers: Sequence[Headers | None], work: _Work
    ) -> Iterator[_Message]:
        """The messages that may be requests, as protobuf; refuses the others."""
        for index, value in enumerate(values):
            said = _said(headers[index] if index < len(headers) else None)
            if value is None:
                self._refuse(work, index, "expected an export request, came a message without a value", b"{}", said)
            elif len(value) > self._max_bytes:
                words = f"expected at most METERHOUSE_OTLP_MAX_BYTES={self._max_bytes}, came {len(value)} bytes"
                self._refuse(work, index, words, fingerprint(value), said, error_class="too_large")
            elif value[:1] == b"{":
                if message := self._from_json(work, index, value, said):
                    yield message
            elif len(value) > _COUNTED_FROM_BYTES and not count_within(self._signal, value, MOST_RECORDS):
                words = f"expected at most {MOST_RECORDS} {_RECORD[self._signal]} a request, came more"
                self._refuse(work, index, words, fingerprint(value), said, error_class="too_large")
            else:
                yield _Message(index, value, said)

    def _from_json(self, work: _Work, index: int, text: bytes, said: Said) -> _Message | None:
        try:
            return _Message(index, read_json(self._signal, text).SerializeToString(), said)
        except OtlpBytesError as error:
            self._refuse(work, index, str(error), scrub_payload(text)[0], said)
            return None

    def _explode(self, chunk: list[_Message], window: TimeWindow, work: _Work) -> None:
        try:
            batch = read_requests(self._signal, [one.payload for one in chunk])
        except OtlpBytesError as error:
            if len(chunk) > 1:
                for one in chunk:
                    self._explode([one], window, work)
            elif chunk[0].payload.lstrip()[:1] == b"{":  # a line break is how a request in protobuf begins, too
                message = self._from_json(work, chunk[0].index, chunk[0].payload, chunk[0].said)
                if message is not None:
                    self._explode([message], window, work)
            else:
                self._refuse(work, chunk[0].index, str(error), fingerprint(chunk[0].payload), chunk[0].said)
            return
        said = [one.said for one in chunk]
        frame = Frame(batch, said, [len(one.payload) for one in chunk], self._workspace, work.counts)
        exploded = _EXPLODE[self._signal](frame, window, work.counts)
        places = np.array([one.index for one in chunk], dtype=np.int64)
        for name, part in exploded.tables.items():
            work.tables.setdefault(name, []).append(TableRows(part.rows, places[part.message_of]))
        work.records += exploded.records
        for time in (exploded.oldest, exploded.newest):
            if time is not None:
                work.oldest = time if work.oldest is None else min(work.oldest, time)
                work.newest = time if work.newest is None else max(work.newest, time)
        self._refuse_flawed(chunk, exploded, work)

    def _refuse_flawed(self, chunk: list[_Message], exploded: Exploded, work: _Work) -> None:
        """One dead letter a message, with the records of it that cannot land and the flaw of the first."""
        flawed = exploded.flawed
        for place in np.unique(flawed.message_of).tolist():
            message, of_message = chunk[place], flawed.message_of == place
            numbers, flaws = flawed.number[of_message].tolist(), flawed.flaws[of_message].tolist()
            error_class, name, words = FLAWS[flaws[0]]
            reason = f"{name or 'message'}: {words}; {len(numbers)} {_RECORD[self._signal]}, the first at {numbers[0]}."
            payload = only(parse(self._signal, message.payload), numbers, message.said)
            work.rejected.append(
                Rejected(message.index, error_class, name, reason, payload, message.said.workspace, len(numbers))
            )

    def _refuse(
        self, work: _Work, index: int, words: str, payload: bytes, said: Said, *, error_class: str = MALFORMED
    ) -> None:
        work.records += 1
        work.rejected.append(Rejected(index, error_class, "", f"message: {words}.", payload, said.workspace))


def _said(headers: Headers | None) -> Said:
    if not headers:
        return Said()
    texts = {
        name: value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value or ""
        for name, value in headers
        if name in (WORKSPACE_HEADER, ENVIRONMENT_HEADER)
    }
    return Said(texts.get(WORKSPACE_HEADER, ""), texts.get(ENVIRONMENT_HEADER, ""))


def _chunks(messages: Iterator[_Message]) -> Iterator[list[_Message]]:
    """Messages in groups of at most _CHUNK_BYTES, a larger one alone."""
    held: list[_Message] = []
    size = 0
    for message in messages:
        if held and size + len(message.payload) > _CHUNK_BYTES:
            yield held
            held, size = [], 0
        held.append(message)
        size += len(message.payload)
    if held:
        yield held


def _table(name: str, parts: Sequence[TableRows]) -> OtherRows:
    """The parts one behind the other; a table without columns where there are none."""
    if not parts:
        return OtherRows(name, pa.table({}), pa.array([], pa.int32()))
    origin = np.concatenate([part.message_of for part in parts]).astype(np.int32)
    return OtherRows(name, pa.Table.from_batches([part.rows for part in parts]), pa.array(origin))
