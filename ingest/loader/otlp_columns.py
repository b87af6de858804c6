"""Small tools on Arrow columns that the OTLP tables are made with: lists unfolded, ids as hex, repeated values.

In: Arrow arrays as otlp_wire gives them (offsets from 0, no nulls in lists). Out: arrays, and numpy indices. Pure.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Index = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
NANOSECONDS: Final = pa.timestamp("ns", "UTC")
SECONDS: Final = pa.timestamp("s", "UTC")


def offsets_of(lists: pa.Array) -> npt.NDArray[np.int32]:
    """Where each list begins, and where the last one ends, from 0."""
    offsets = np.asarray(lists.offsets)
    return (offsets - offsets[0]).astype(np.int32) if len(offsets) and offsets[0] else offsets.astype(np.int32)


def unfold(lists: pa.Array) -> tuple[pa.Array, Index]:
    """The items of all lists, and which list each came from."""
    offsets = offsets_of(lists)
    return lists.flatten(), np.repeat(np.arange(len(lists), dtype=np.int64), np.diff(offsets))


def hex_of(ids: pa.Array) -> pa.Array:
    """Binary as lower-case hexadecimal; all zeros, which means none, as ''."""
    ids = _compact(ids)
    offsets = np.frombuffer(ids.buffers()[1], dtype=np.int32, count=len(ids) + 1)
    data = b"" if ids.buffers()[2] is None else ids.buffers()[2].to_pybytes()
    text = data[: int(offsets[-1])].hex().encode()
    column = pa.StringArray.from_buffers(
        len(ids), pa.py_buffer((offsets * 2).astype(np.int32).tobytes()), pa.py_buffer(text)
    )
    nothing = is_zero(ids) & (np.diff(offsets) > 0)
    return pc.if_else(pa.array(nothing), "", column) if nothing.any() else column


def is_zero(ids: pa.Array) -> Mask:
    """Which of the binaries are empty or all zeros."""
    ids = _compact(ids)
    offsets = np.frombuffer(ids.buffers()[1], dtype=np.int32, count=len(ids) + 1)
    data = ids.buffers()[2]
    set_bytes = np.zeros(int(offsets[-1]) + 1, dtype=np.int64)
    if data is not None:
        np.cumsum(np.frombuffer(data, dtype=np.uint8, count=int(offsets[-1])) != 0, out=set_bytes[1:])
    zero: Mask = set_bytes[offsets[1:]] == set_bytes[offsets[:-1]]
    return zero


def lengths_of(ids: pa.Array) -> npt.NDArray[np.int32]:
    return np.asarray(pc.binary_length(ids))


def text_bytes(texts: pa.Array) -> npt.NDArray[np.int64]:
    """The length of each text in bytes."""
    return np.asarray(pc.binary_length(texts)).astype(np.int64)


def _compact(column: pa.Array) -> pa.Array:
    """The same values in buffers that begin at 0."""
    return pa.concat_arrays([column, column.slice(0, 0)]) if column.offset else column


def choose(names: Sequence[str], codes: pa.Array, otherwise: int = 0) -> pa.Array:
    """A word for each code, as a dictionary; a code beyond the list is `otherwise`."""
    numbers = np.asarray(codes)
    numbers = np.where((numbers < 0) | (numbers >= len(names)), otherwise, numbers).astype(np.int8)
    return pa.DictionaryArray.from_arrays(pa.array(numbers), pa.array(names))


def repeated(values: Sequence[str], index: Index) -> pa.Array:
    """values[index], as a dictionary."""
    unique = sorted(set(values))
    code = {value: number for number, value in enumerate(unique)}
    codes = np.array([code[value] for value in values], dtype=np.int32)
    return pa.DictionaryArray.from_arrays(
        pa.array(codes[index] if len(codes) else index.astype(np.int32)), unique or [""]
    )


def stamps(nanoseconds: npt.NDArray[np.uint64]) -> pa.Array:
    """Nanoseconds since the epoch as DateTime64(9); what no Int64 holds is cut to its end."""
    return pa.array(np.minimum(nanoseconds, np.uint64(2**63 - 1)).astype(np.int64)).cast(NANOSECONDS)


def seconds(nanoseconds: npt.NDArray[np.uint64]) -> pa.Array:
    """Nanoseconds since the epoch as DateTime: whole seconds, cut to its end in 2106."""
    return pa.array(np.minimum(nanoseconds // np.uint64(10**9), np.uint64(2**32 - 1)).astype(np.int64)).cast(SECONDS)


def lists(parents: pa.Array, items: pa.Array) -> pa.Array:
    """The items in lists as long as those of `parents`."""
    return pa.ListArray.from_arrays(pa.array(offsets_of(parents)), items)
