"""Values of one column from Python to Arrow: times and money, which come as text or as number, and contexts.

`either` and `contexts` read some hundred values at a time; `milliseconds` and `units` make of a whole column so read
what the rules of columns.py ask. What is no time lies outside every window, what is no amount is negative. The usual
spellings go as a column, any other one by one.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.contracts import fields as f
from ingest.contracts.values import Complaint, epoch_ms, normalise

MONEY_TYPE: Final = pa.decimal128(18, f.MONEY_PLACES)

# Before every window, and no amount; a double holds it.
_BEYOND: Final = -(2**53)
_PLACES: Final = 10**f.MONEY_PLACES
# Up to here a double times 10^12 is precise to a few hundredths, so that it rounds as its shortest repr does.
_EXACT_USD: Final = 100.0
# Decimal strings that MONEY_TYPE holds as they are: nothing rounds.
_PLAIN_MONEY: Final = r"^[0-9]{1,6}(?:\.[0-9]{1,12})?$"
# Arrow does not say which time it could not read: so many are then read one by one.
_TIMES_AT_ONCE: Final = 512


def either(values: Sequence[object], number: pa.DataType) -> pa.Array:
    """A struct of `text` and `number`, at most one of them there."""
    try:
        texts, numbers = pa.array(values, pa.string()), pa.nulls(len(values), number)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        texts = pa.array([one if one.__class__ is str else None for one in values], pa.string())
        numbers = _numbers([None if one.__class__ is str else one for one in values], number)
    return pa.StructArray.from_arrays([texts, numbers], ["text", "number"])


def _numbers(values: Iterable[object], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, kind)
    except (pa.ArrowInvalid, OverflowError):  # Arrow refuses what a double does not hold exactly
        near = [_BEYOND if isinstance(one, int) and abs(one) > -_BEYOND else one for one in values]
        return pa.array(near, kind)


def contexts(values: Sequence[msgspec.Raw]) -> pa.Array:
    """The bytes of each. Joined and split: a third of what asking each takes, and no JSON has a NUL in it."""
    texts = b"\x00".join(values).split(b"\x00") if values else []
    if len(texts) != len(values):
        texts = [bytes(one) for one in values]
    return pa.array(texts, pa.binary())


def milliseconds(read: pa.Array) -> npt.NDArray[np.int64]:
    """Epoch ms of `either` texts or integers."""
    texts, numbers = read.field("text"), read.field("number")
    is_time = pc.match_substring_regex(texts, f.TIME_PATTERN).fill_null(False)
    moments = _moments(pc.if_else(is_time, texts, None))
    stamps = numbers.fill_null(_BEYOND).to_numpy()
    return np.where(is_time.to_numpy(zero_copy_only=False), moments, stamps)


def _moments(texts: pa.Array) -> npt.NDArray[np.int64]:
    """Of texts that match TIME_PATTERN; nulls give anything."""
    try:
        nanoseconds = texts.cast(pa.timestamp("ns", "UTC")).cast(pa.int64()).fill_null(0).to_numpy()
        cut: npt.NDArray[np.int64] = nanoseconds // 1_000_000
        return cut
    except pa.ArrowInvalid:  # the 30th of February, or a year that nanoseconds do not reach
        if len(texts) <= _TIMES_AT_ONCE:
            return np.array([_moment(one) for one in texts.to_pylist()], dtype=np.int64)
    return np.concatenate(
        [_moments(texts.slice(start, _TIMES_AT_ONCE)) for start in range(0, len(texts), _TIMES_AT_ONCE)]
    )


def _moment(value: str | None) -> int:
    try:
        return _BEYOND if value is None else epoch_ms(value)
    except Complaint:
        return _BEYOND


def units(name: str, read: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Amounts in 10^-12 USD, and which are missing."""
    texts, numbers = read.field("text"), read.field("number")
    is_text = texts.is_valid().to_numpy(zero_copy_only=False)
    is_number = numbers.is_valid().to_numpy(zero_copy_only=False)
    places = np.zeros(len(read), dtype=np.int64)
    if is_number.any():
        places[is_number] = _rounded(name, numbers.drop_null().to_numpy())
    if is_text.any():
        places[is_text] = _read(name, texts.drop_null())
    return places, ~(is_text | is_number)


def _rounded(name: str, usd: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Too near to a tie, a double cannot tell which way its decimal rounds: negative, for the careful path to say."""
    maximum = min(float(f.BY_NAME[name].maximum or 0), _EXACT_USD)
    scaled = np.where((usd >= 0) & (usd <= maximum), usd, np.nan) * _PLACES
    nearest = np.rint(scaled)
    is_sure = np.abs(np.abs(scaled - nearest) - 0.5) > 1e-3 + scaled * 2.0**-50  # NaN compares false
    return np.where(is_sure, np.nan_to_num(nearest), _BEYOND).astype(np.int64)


def _read(name: str, texts: pa.Array) -> npt.NDArray[np.int64]:
    is_plain = pc.match_substring_regex(texts, _PLAIN_MONEY)
    decimals = pc.if_else(is_plain, texts, "0").cast(MONEY_TYPE)
    places = np.frombuffer(decimals.buffers()[1], dtype=np.int64)[: 2 * len(texts) : 2].copy()
    others = np.flatnonzero(~is_plain.to_numpy(zero_copy_only=False))
    places[others] = [_unit(name, texts[index].as_py()) for index in others.tolist()]
    return np.where(places <= (f.BY_NAME[name].maximum or 0) * _PLACES, places, _BEYOND)


def _unit(name: str, value: str) -> int:
    try:
        return int(str(normalise(f.BY_NAME[name], value, {})).replace(".", ""))
    except Complaint:
        return _BEYOND
