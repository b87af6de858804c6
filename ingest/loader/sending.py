"""Sends the rows of a run to ClickHouse so that they are there once.

In: the run's rows as Arrow. Out: nothing, or clickhouse-connect's error for the caller to retry or bisect. The first
attempt trusts its token; every later one also looks whether the rows are there (why: ingest/landed.py), month by month,
since a month of an insert is one part, there whole or not at all.
"""

import io
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from clickhouse_connect.driver.client import Client

from ingest.landed import months_landed
from ingest.loader.run import Claim, Decoded, Messages, OtherRows, Run, Stream
from ingest.warehouse import insert_settings

# How far the engine's clock may be behind the loader's when rows of this claim are looked for.
_CLOCK_SKEW: Final = timedelta(hours=1)


class Sending:
    """The inserts of one claim. `attempts` counts them."""

    def __init__(self, client: Client, stream: Stream, claim: Claim, *, is_redo: bool) -> None:
        self._client = client
        self._since = datetime.fromtimestamp(claim.judged_at_ms / 1000, UTC) - _CLOCK_SKEW
        self.stream = stream
        self.is_redo = is_redo
        self.attempts = 0

    def send(self, run: Run, rows: pa.Table, attempt: int) -> None:
        """One attempt. `attempt` 0 is the first anybody makes; later ones land what a token without rows hid."""
        self._post(rows, run.token("rows"))
        if attempt == 0:
            return
        times = rows.column(self.stream.time_column)
        months = pc.add(pc.multiply(pc.year(times), 100), pc.month(times))
        landed = months_landed(
            self._client,
            self.stream.table,
            topic=run.source.topic,
            partition=run.source.partition,
            first=run.first,
            last=run.last,
            since=self._since,
            time_column=self.stream.time_column,
        )
        missing = sorted(set(pc.unique(months).to_pylist()) - landed.keys())
        if missing:
            self._post(rows.filter(pc.is_in(months, pa.array(missing))), f"{run.token('rows')}:again{attempt}")

    def _post(self, rows: pa.Table, token: str) -> None:
        self.attempts += 1
        self._client.raw_insert(
            self.stream.table,
            column_names=rows.schema.names,
            insert_block=_arrow_stream(rows),
            settings=insert_settings(self._client, token),
            fmt="ArrowStream",
        )


def with_origin(run: Run, messages: Messages, decoded: Decoded | OtherRows) -> pa.Table:
    """The decoder's rows with where each came from."""
    origin = decoded.origin.to_numpy()
    rows: pa.Table = decoded.rows
    count = rows.num_rows
    offsets = np.array(messages.offsets, dtype=np.int64)[origin]
    appended = np.clip(np.array(messages.appended_ms, dtype=np.int64), 0, None)[origin]
    for name, column in (
        ("_topic", pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int8)), [run.source.topic])),
        ("_partition", pa.array(np.full(count, run.source.partition, np.int32))),
        ("_offset", pa.array(offsets)),
        ("_appended_at", pa.array(appended).cast(pa.timestamp("ms", "UTC"))),
    ):
        rows = rows.append_column(name, column)
    return rows


def _arrow_stream(rows: pa.Table) -> Generator[bytes, None, None]:
    """The rows piece by piece, so that only one of them is in memory twice; the engine makes one block of them all."""
    sink = io.BytesIO()
    # A column that is not said to have nulls spares the engine looking for them: 0.2 µs a row.
    schema = pa.schema([field.with_nullable(rows.column(field.name).null_count > 0) for field in rows.schema])
    with pa.ipc.new_stream(sink, schema) as writer:
        for piece in rows.to_batches():
            writer.write_batch(pa.RecordBatch.from_arrays(piece.columns, schema=schema))
            yield sink.getvalue()
            sink.seek(0)
            sink.truncate()
    yield sink.getvalue()
