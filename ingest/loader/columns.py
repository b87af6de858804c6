"""Collects events as columns of raw.agent_events and checks whole columns at once.

In: structs from the decoder (checked field by field already) or from judge() (wholly settled). Out: one Arrow record
batch, and the indexes of messages that miss a column rule and must go through the careful path. The rules, by number,
are those of ingest/contracts/check.py; rule 1 and 7 are decided on the bytes, before this.
"""

from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.contracts import fields as f
from ingest.contracts.agent_event import AgentEvent
from ingest.contracts.denial import suspicious_context
from ingest.contracts.outcome import EventLimits
from ingest.contracts.values import Complaint, epoch_ms, normalise

Mask = npt.NDArray[np.bool_]

_PLACES: Final = 10**f.MONEY_PLACES
# Up to here a double times 10^12 is precise to a few hundredths, so that it rounds as its shortest repr does.
_EXACT_USD: Final = 100.0
_MONEY_TYPE: Final = pa.decimal128(18, f.MONEY_PLACES)
_TIME_TYPE: Final = pa.timestamp("ms", "UTC")
_WHITE: Final = " \n\t\r"
_KINDS: Final = {field.name: field.kind for field in f.FIELDS}


class Columns:
    """Columns under construction. With `is_judged`, only add_judged is used and nothing is checked again."""

    def __init__(self, limits: EventLimits, judged_at_ms: int, *, is_judged: bool = False) -> None:
        self._limits = limits
        self._judged_at_ms = judged_at_ms
        self._is_judged = is_judged
        self._origin: list[int] = []
        self._settled: list[int] = []
        self._lists: dict[str, list[object]] = {name: [] for name in AgentEvent.__struct_fields__}

    def add(self, start: int, events: list[AgentEvent]) -> None:
        """Events of the messages start, start + 1, …"""
        for values, column in zip(
            zip(*map(msgspec.structs.astuple, events), strict=True), self._lists.values(), strict=True
        ):
            column.extend(values)
        self._origin.extend(range(start, start + len(events)))

    def add_judged(self, index: int, event: AgentEvent) -> None:
        """An event as judge() settled it: no rule needs to be asked again."""
        self._settled.append(len(self._origin))
        self.add(index, [event])

    def finish(self) -> tuple[list[int], pa.RecordBatch, npt.NDArray[np.int32]]:
        """Messages that miss a rule; the others as rows in the table's order; the message each row came from."""
        origin = np.array(self._origin, dtype=np.int32)
        good: Mask = np.ones(len(origin), dtype=bool)
        arrays = {name: _BUILDERS[_KINDS[name]](self, name, good) for name in self._lists}
        good &= _parts_fit(arrays)
        if self._is_judged:
            good[:] = True
        else:
            good[self._settled] = True
        rows = pa.RecordBatch.from_pydict({name: arrays[name] for name in f.BY_NAME})
        if good.all():
            return [], rows, origin
        return origin[~good].tolist(), rows.filter(pa.array(good)), origin[good]

    # One builder a kind of field: makes the Arrow array and clears `good` where a rule is missed.

    def strings(self, name: str, good: Mask) -> pa.Array:
        column = pa.array(self._lists[name], pa.string()).fill_null("")
        if name in f.RAW_IDENTIFIER_FIELDS:  # rule 7; the other strings were looked at as bytes
            good &= ~pc.match_substring(column, "@").to_numpy(zero_copy_only=False)
        return column

    def integers(self, name: str, _: Mask) -> pa.Array:
        return pa.array(self._lists[name], pa.uint64())

    def version(self, name: str, _: Mask) -> pa.Array:
        return pa.array(self._lists[name], pa.uint16()).fill_null(f.KNOWN_SCHEMA_VERSION)

    def milliseconds(self, name: str, _: Mask) -> pa.Array:
        return pc.add(pa.array(self._lists[name], pa.float64()), 0.0)  # rule 9: -0.0 + 0.0 is 0.0

    def uuids(self, name: str, good: Mask) -> pa.Array:
        """Rule 2. Sixteen bytes as text has them, which is how ClickHouse reads a UUID from Arrow."""
        text = "".join(str(one) for one in self._lists[name])
        if not text.isascii():
            column = [one if one.isascii() else f.NIL_UUID for one in map(str, self._lists[name])]
            text = "".join(column)
        digits = np.frombuffer(text.encode(), dtype=np.uint8).reshape(-1, 36)
        hyphens = digits[:, (8, 13, 18, 23)]
        nibbles = _HEX[np.delete(digits, (8, 13, 18, 23), axis=1)]
        good &= (hyphens == ord("-")).all(axis=1) & (nibbles < 16).all(axis=1) & (nibbles != 0).any(axis=1)
        packed = (nibbles[:, ::2] << 4 | (nibbles[:, 1::2] & 15)).astype(np.uint8)
        return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(packed), [None, pa.py_buffer(packed.tobytes())])

    def workspaces(self, name: str, good: Mask) -> pa.Array:
        """Rule 3."""
        column = pa.array(self._lists[name], pa.string())
        unique = column.dictionary_encode()
        fits = pc.match_substring_regex(unique.dictionary, f.WORKSPACE_PATTERN)
        good &= fits.to_numpy(zero_copy_only=False)[unique.indices.to_numpy()]
        return column

    def times(self, name: str, good: Mask) -> pa.Array:
        """Rule 4."""
        column = self._lists[name]
        try:
            texts = pa.array([one if isinstance(one, str) else None for one in column], pa.string())
            if not pc.all(pc.match_substring_regex(texts, f.TIME_PATTERN), min_count=0).as_py():
                raise pa.ArrowInvalid("not all are times")
            times = pc.floor_temporal(texts.cast(pa.timestamp("ns", "UTC")), unit="millisecond").cast(_TIME_TYPE)
            if texts.null_count:
                numbers = pa.array([None if isinstance(one, str) else one for one in column], pa.int64())
                times = pc.coalesce(times, numbers.cast(_TIME_TYPE))
            stamps = times.cast(pa.int64()).to_numpy()
        except (pa.ArrowInvalid, OverflowError):
            stamps = np.array([_stamp(one) for one in column], dtype=np.int64)
            times = pa.array(stamps, pa.int64()).cast(_TIME_TYPE)
        good &= stamps >= self._judged_at_ms - self._limits.max_age_ms
        good &= stamps <= self._judged_at_ms + self._limits.max_future_ms
        return times

    def money(self, name: str, good: Mask) -> pa.Array:
        """Rule 6, in units of 10^-12 USD. Doubles are rounded as a column; strings and near ties one by one."""
        column = self._lists[name]
        maximum = min(float(f.BY_NAME[name].maximum or 0), _EXACT_USD)
        missing = np.array([one is None for one in column], dtype=bool)
        usd = np.array([one if isinstance(one, float) else np.nan for one in column], dtype=np.float64)
        scaled = np.where((usd >= 0) & (usd <= maximum), usd, np.nan) * _PLACES
        nearest = np.rint(scaled)
        # Too near to a tie, a double cannot tell which way the decimal rounds; NaN compares false.
        is_sure = np.abs(np.abs(scaled - nearest) - 0.5) > 1e-3 + scaled * 2.0**-50
        whole = np.where(is_sure, np.nan_to_num(nearest), 0).astype(np.int64)
        for index in np.flatnonzero(~is_sure & ~missing).tolist():
            places = _places(name, column[index])
            good[index] &= places is not None
            whole[index] = places or 0
        wide = np.column_stack([whole, np.zeros_like(whole)])
        validity = pa.array(~missing).buffers()[1] if missing.any() else None
        return pa.Array.from_buffers(_MONEY_TYPE, len(whole), [validity, pa.py_buffer(wide.tobytes())])

    def contexts(self, name: str, good: Mask) -> pa.Array:
        """Rule 8, asked once for each different context."""
        raws = pa.array([bytes(one) for one in self._lists[name]], pa.binary()).dictionary_encode()  # type: ignore[call-overload]
        texts = [_compact(raw) for raw in raws.dictionary.to_pylist()]
        column = pa.array([text or "" for text in texts], pa.string())
        fits = np.array([text is not None for text in texts], dtype=bool)
        odd = pc.or_(
            pc.or_(
                pc.invert(pc.starts_with(column, "{")),
                pc.greater(pc.binary_length(column), self._limits.context_bytes),
            ),
            pc.match_substring_regex(column, suspicious_context(self._limits.context_depth)),
        )
        fits &= ~pc.and_(pc.not_equal(column, ""), odd).to_numpy(zero_copy_only=False)
        good &= fits[raws.indices.to_numpy()]
        return column.take(raws.indices)


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

_FAR: Final = 2**62
_Builder = Callable[[Columns, str, Mask], pa.Array]
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


def _stamp(value: object) -> int:
    """Epoch ms; a time no calendar has lies outside every window."""
    try:
        return min(max(epoch_ms(value), -_FAR), _FAR)
    except Complaint:
        return -_FAR


def _places(name: str, value: object) -> int | None:
    """An amount in units of 10^-12 USD; None where it is none."""
    try:
        return int(str(normalise(f.BY_NAME[name], value, {})).replace(".", ""))
    except Complaint:
        return None


def _compact(raw: bytes) -> str | None:
    """The text of a context without insignificant whitespace; '' where it is missing, None where it is not UTF-8."""
    if raw == b"null":
        return ""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return None
    return msgspec.json.format(text, indent=-1) if any(mark in text for mark in _WHITE) else text
