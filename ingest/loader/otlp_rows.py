"""What the three signals share on the way from records to rows.

In: structs of records and their places. Out: Exploded: rows by table, and the records that cannot land.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingest.loader.otlp_attributes import Counts, masked
from ingest.loader.otlp_columns import Mask, text_bytes
from ingest.loader.otlp_frame import NO_FLAW, Flaw, Placed

Nanoseconds = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """What times are accepted, both ends inclusive, and when that is judged; nanoseconds since the epoch."""

    oldest: int
    newest: int
    judged_at: int

    def holds(self, times: Nanoseconds) -> Mask:
        within: Mask = (times >= np.uint64(max(1, self.oldest))) & (times <= np.uint64(max(0, self.newest)))
        return within


@dataclass(frozen=True, slots=True)
class TableRows:
    """Rows of one table, and the message of the batch each came from."""

    rows: pa.RecordBatch
    message_of: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Exploded:
    """What a batch of requests became. `flawed` are the records that cannot land; times in nanoseconds or None."""

    tables: Mapping[str, TableRows]
    flawed: Placed
    records: int
    oldest: int | None
    newest: int | None


def exploded(tables: Mapping[str, tuple[pa.RecordBatch, Placed]], placed: Placed, times: Nanoseconds) -> Exploded:
    """Puts together what a signal made; `placed` are all its records, `times` those of the rows."""
    return Exploded(
        {
            table: TableRows(
                rows.append_column("_index", pa.array(landing.number.astype(np.uint32))), landing.message_of
            )
            for table, (rows, landing) in tables.items()
            if rows.num_rows
        },
        placed.take(np.flatnonzero(placed.flaws != NO_FLAW)),
        len(placed.flaws),
        int(times.min()) if len(times) else None,
        int(times.max()) if len(times) else None,
    )


def flaws_where(*found: tuple[int, Mask]) -> Flaw:
    """The first flaw of each record whose mask says so."""
    flaws = np.zeros(len(found[0][1]), dtype=np.int8)
    for flaw, mask in found:
        flaws[(flaws == NO_FLAW) & mask] = flaw
    return flaws


def landing_of(records: pa.Array, placed: Placed) -> tuple[pa.Array, Placed]:
    """Only the records that can land, with their places; the very same where that is all."""
    good = placed.good
    if len(good) == len(placed.flaws):
        return records, placed
    return records.take(pa.array(good)), placed.take(good)


def plain_texts(texts: pa.Array, counts: Counts) -> pa.Array:
    """`masked`, and not as a dictionary: for texts within lists."""
    return masked(texts, counts).cast(pa.string())


def left_out(texts: pa.Array, counts: Counts, rule: str) -> pa.Array:
    """'' for each: free text, of which nobody can say that it holds no content. What was there is counted."""
    filled = int(np.count_nonzero(text_bytes(texts)))
    if filled:
        counts[rule] = counts.get(rule, 0) + filled
    return pa.nulls(len(texts), pa.string()).fill_null("")
