"""Rows of a Parquet file as events in JSON.

In: a file with columns named as the contract's fields, such as an export of raw.agent_events or a pandas frame. Out:
how many rows, and each row's JSON. Null, NaN and '' are missing; times become epoch ms (naive ones are UTC); whole
floats are integers in integer fields; `context` may be a struct, a map or JSON text; columns that begin with `_`
(where a row came from) are left out. Memory is that of one batch of rows.
"""

import decimal
import math
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from ingest.contracts.fields import FIELDS
from ingest.errors import MeterhouseError, SettingsError

_BATCH_ROWS: Final = 1_000
_INTEGERS: Final = frozenset(spec.name for spec in FIELDS if spec.kind in ("tokens", "version", "time"))
_IDENTIFIERS: Final = frozenset({"event_id"})
_UUID_BYTES: Final = 16


def parquet_events(path: Path) -> tuple[int, Iterator[bytes]]:
    """The number of rows and the rows. Raises SettingsError for what is no Parquet file or has no such columns."""
    try:
        file = pq.ParquetFile(path, memory_map=False, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        words = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SettingsError(f"FILE expects a Parquet file, {path.name} is none that can be read ({words}).") from None
    columns = [name for name in file.schema_arrow.names if not name.startswith("_")]
    if "event_id" not in columns:
        raise SettingsError(
            f"FILE expects columns named as the event's fields, {path.name} has no event_id but "
            f"{', '.join(columns[:8])}."
        )
    return int(file.metadata.num_rows), _rows(path, file, columns)


def _rows(path: Path, file: "pq.ParquetFile", columns: list[str]) -> Iterator[bytes]:
    read = 0
    try:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=columns, use_threads=False):
            plain = [_milliseconds(column) for column in batch.columns]
            rows = pa.RecordBatch.from_arrays(plain, names=batch.schema.names).to_pylist(maps_as_pydicts="lossy")
            for row in rows:
                read += 1
                yield msgspec.json.encode(
                    {name: _value(name, value) for name, value in row.items() if _is_there(value)}
                )
    except (pa.ArrowException, OSError, TypeError, ValueError) as error:
        words = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MeterhouseError(
            f"{path} cannot be read after row {read} ({words}): mend the file and run this again; what was sent before "
            "lands once."
        ) from error


def _milliseconds(column: "pa.Array") -> "pa.Array":
    """Times as integers of epoch ms; everything else as it is. Dictionaries are unfolded first."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("ms", tz=column.type.tz), safe=False).cast(pa.int64())
    return column


def _is_there(value: object) -> bool:
    return not (value is None or value in ("", b"") or (isinstance(value, float) and math.isnan(value)))


def _value(name: str, value: object) -> object:
    if isinstance(value, bytes):
        is_uuid = name in _IDENTIFIERS and len(value) == _UUID_BYTES
        value = str(uuid.UUID(bytes=value)) if is_uuid else value.decode("utf-8", errors="backslashreplace")
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if name in _INTEGERS and isinstance(value, float) and value.is_integer():
        return int(value)
    if name == "context" and isinstance(value, str):
        try:
            msgspec.json.decode(value)
        except (msgspec.MsgspecError, RecursionError):
            return value  # no JSON: stays text, which the contract refuses by name
        return msgspec.Raw(value.encode())
    return value
