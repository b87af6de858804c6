"""Collects events as columns of raw.agent_events and checks whole columns at once.

In: structs from the decoder (checked field by field already) or from judge() (wholly settled), some hundred at a time.
Out: one Arrow record batch, and the indexes of messages that miss a column rule and must go through the careful path.
The rules, by number, are those of ingest/contracts/check.py; rule 1 and 7 are decided on the bytes, before this.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.contracts import fields as f
from ingest.contracts.agent_event import AgentEvent
from ingest.contracts.outcome import EventLimits
from ingest.loader.contexts import Contexts
from ingest.loader.pieces import MONEY_TYPE, contexts, either, milliseconds, units

Mask = npt.NDArray[np.bool_]

_TIME_TYPE: Final = pa.timestamp("ms", "UTC")
_KINDS: Final = {field.name: field.kind for field in f.FIELDS}


class Columns:
    """Columns under construction. With `is_judged` nothing is checked again: events are as judge() settled them."""

    def __init__(self, limits: EventLimits, contexts: Contexts, judged_at_ms: int, *, is_judged: bool = False) -> None:
        self._limits = limits
        self._contexts = contexts
        self._judged_at_ms = judged_at_ms
        self._is_judged = is_judged
        self._origin: list[int] = []
        self._pieces: dict[str, list[pa.Array]] = {name: [] for name in AgentEvent.__struct_fields__}

    def add(self, origin: Iterable[int], events: Sequence[AgentEvent]) -> None:
        """Events of the messages at `origin`.

        They become Arrow arrays at once, while they are in the processor's cache: collecting the values of a whole
        batch in lists first costs 1.2 µs an event more.
        """
        if not events:
            return
        self._origin.extend(origin)
        columns = zip(*map(msgspec.structs.astuple, events), strict=True)
        for (name, pieces), values in zip(self._pieces.items(), columns, strict=True):
            pieces.append(_READERS[_KINDS[name]](values))

    def finish(self) -> tuple[list[int], pa.RecordBatch, npt.NDArray[np.int32]]:
        """Messages that miss a rule; the others as rows in the table's order; the message each row came from."""
        origin = np.array(self._origin, dtype=np.int32)
        good: Mask = np.ones(len(origin), dtype=bool)
        arrays = {}
        for name, pieces in self._pieces.items():
            read = pa.concat_arrays(pieces or [_READERS[_KINDS[name]](())])
            pieces.clear()
            arrays[name] = _BUILDERS[_KINDS[name]](self, name, read, good)
        good &= _parts_fit(arrays)
        rows = pa.RecordBatch.from_pydict({name: arrays[name] for name in f.BY_NAME})
        if self._is_judged or good.all():
            return [], rows, origin
        return origin[~good].tolist(), rows.filter(pa.array(good)), origin[good]

    # One builder a kind of field: from what was read to the table's type; clears `good` where a rule is missed.

    def strings(self, name: str, read: pa.Array, good: Mask) -> pa.Array:
        column = _without_nulls(read)
        if name in f.RAW_IDENTIFIER_FIELDS:  # rule 7; the other strings were looked at as bytes
            good &= ~pc.match_substring(column, "@").to_numpy(zero_copy_only=False)
        return column

    def integers(self, _: str, read: pa.Array, __: Mask) -> pa.Array:
        return read

    def version(self, _: str, read: pa.Array, __: Mask) -> pa.Array:
        return read.fill_null(f.KNOWN_SCHEMA_VERSION)

    def milliseconds(self, _: str, read: pa.Array, __: Mask) -> pa.Array:
        return pc.add(read, 0.0)  # rule 9: -0.0 + 0.0 is 0.0

    def uuids(self, _: str, read: pa.Array, good: Mask) -> pa.Array:
        """Rule 2. Sixteen bytes as text has them, which is how ClickHouse reads a UUID from Arrow."""
        is_short = pc.binary_length(read).to_numpy() == 36
        if not is_short.all():  # 36 characters, and one of them is not ASCII
            good &= is_short
            read = pc.if_else(pa.array(is_short), read, f.NIL_UUID)
        digits = np.frombuffer(b"".join(read.buffers()[2:]), dtype=np.uint8)[: 36 * len(read)].reshape(-1, 36)
        values = _HEX[digits]
        nibbles = np.concatenate([values[:, first:last] for first, last in _HEX_GROUPS], axis=1)
        pairs = nibbles.view("<u2")
        packed = (pairs << 4 | pairs >> 8).astype(np.uint8)
        halves = packed.view(np.uint64)
        good &= (halves[:, 0] | halves[:, 1]) != 0
        if len(nibbles) and nibbles.max() >= 16:
            good &= (nibbles < 16).all(axis=1)
        good &= (digits[:, _HYPHENS] == ord("-")).all(axis=1)
        return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(packed), [None, pa.py_buffer(packed.tobytes())])

    def workspaces(self, _: str, read: pa.Array, good: Mask) -> pa.Array:
        """Rule 3."""
        unique = read.dictionary_encode()
        fits = [_WORKSPACE.fullmatch(one) is not None for one in unique.dictionary.to_pylist()]
        good &= np.array(fits, dtype=bool)[unique.indices.to_numpy()]
        return read

    def times(self, _: str, read: pa.Array, good: Mask) -> pa.Array:
        """Rule 4."""
        stamps = milliseconds(read)
        good &= stamps >= self._judged_at_ms - self._limits.max_age_ms
        good &= stamps <= self._judged_at_ms + self._limits.max_future_ms
        return pa.array(stamps).cast(_TIME_TYPE)

    def money(self, name: str, read: pa.Array, good: Mask) -> pa.Array:
        """Rule 6, in units of 10^-12 USD."""
        places, is_missing = units(name, read)
        good &= places >= 0
        wide = np.column_stack([places, np.zeros_like(places)])
        validity = pa.array(~is_missing).buffers()[1] if is_missing.any() else None
        return pa.Array.from_buffers(MONEY_TYPE, len(read), [validity, pa.py_buffer(wide.tobytes())])

    def contexts(self, _: str, read: pa.Array, good: Mask) -> pa.Array:
        """Rule 8."""
        raws = read.dictionary_encode()
        unique = raws.dictionary.to_pylist()
        texts = [raw.decode() for raw in unique] if self._is_judged else self._contexts.settle(unique)
        good &= np.array([text is not None for text in texts], dtype=bool)[raws.indices.to_numpy()]
        return pa.array(texts, pa.string()).fill_null("").take(raws.indices)


def _without_nulls(strings: pa.Array) -> pa.Array:
    """'' for null, without a copy: Arrow's builder gives a null no characters, so to drop the bitmap is enough."""
    if not strings.null_count:
        return strings
    return pa.Array.from_buffers(strings.type, len(strings), [None, *strings.buffers()[1:]], 0, strings.offset)


def _parts_fit(arrays: dict[str, pa.Array]) -> Mask:
    """Rule 5."""
    fits: Mask = np.ones(len(arrays["event_id"]), dtype=bool)
    for parts, whole in f.PARTS:
        if arrays[whole].null_count == len(arrays[whole]):
            continue
        total = sum(arrays[part].fill_null(0).to_numpy(zero_copy_only=False) for part in parts)
        most = arrays[whole].fill_null(np.iinfo(np.uint64).max).to_numpy(zero_copy_only=False)
        fits &= total <= most
    return fits


_HEX: Final = np.full(256, 255, dtype=np.uint8)
for _digits in (b"0123456789abcdef", b"0123456789ABCDEF"):
    _HEX[list(_digits)] = np.arange(16, dtype=np.uint8)
# For few different values: compiling it for Arrow takes longer.
_WORKSPACE: Final = re.compile(f.WORKSPACE_PATTERN.rstrip("$"))
_HEX_GROUPS: Final = ((0, 8), (9, 13), (14, 18), (19, 23), (24, 36))
_HYPHENS: Final = (8, 13, 18, 23)

_Reader = Callable[[Sequence[object]], pa.Array]
_Builder = Callable[[Columns, str, pa.Array, Mask], pa.Array]


def _reader(kind: pa.DataType) -> _Reader:
    return lambda values: pa.array(values, kind)


_READERS: Final[dict[str, _Reader]] = {
    "uuid": _reader(pa.string()),
    "choice": _reader(pa.string()),
    "version": _reader(pa.uint16()),
    "time": lambda values: either(values, pa.int64()),
    "workspace": _reader(pa.string()),
    "text": _reader(pa.string()),
    "tokens": _reader(pa.uint64()),
    "milliseconds": _reader(pa.float64()),
    "money": lambda values: either(values, pa.float64()),
    "object": contexts,  # type: ignore[dict-item]  # of Raw
}
_BUILDERS: Final[dict[str, _Builder]] = {
    "uuid": Columns.uuids,
    "choice": Columns.strings,
    "version": Columns.version,
    "time": Columns.times,
    "workspace": Columns.workspaces,
    "text": Columns.strings,
    "tokens": Columns.integers,
    "milliseconds": Columns.milliseconds,
    "money": Columns.money,
    "object": Columns.contexts,
}
