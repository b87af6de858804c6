"""Measures how raw.agent_events is best stored: `python -m bench.codecs [--events N]`.

In: simulated events. Out: two tables on the terminal: bytes a row by column and codec; then whole tables by sort order,
codecs and skip indexes (bytes a row; insert and query time against the engine's default; rows a query has to read).
Runs in this process on chDB in a temporary folder. Times vary from run to run; sizes do not.
"""

import argparse
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from chdb.session import Session
from rich.console import Console
from rich.table import Table

from bench.events import prepare
from ingest.schema.engines import Layout
from ingest.schema.files import load_migrations

SAMPLED_CODECS = (
    "LZ4",
    "ZSTD(1)",
    "ZSTD(3)",
    "Delta, LZ4",
    "Delta, ZSTD(1)",
    "DoubleDelta, ZSTD(1)",
    "T64, LZ4",
    "T64, ZSTD(1)",
    "Gorilla, ZSTD(1)",
)
BATCH = 65_536
QUERIES = {
    "one workspace, one kind, one hour": (
        "select count(), sum(input_tokens), quantile(0.9)(latency_ms) from {table} where workspace_id = '{workspace}' "
        "and event_type = 'llm_call' and occurred_at >= '{hour}' and occurred_at < '{hour}'::DateTime + 3600"
    ),
    "all workspaces by hour": (
        "select workspace_id, toStartOfHour(occurred_at) as hour, sum(input_tokens), count() from {table} "
        "where event_type = 'llm_call' group by workspace_id, hour"
    ),
    "copies collapsed (final)": "select count(), sum(cost_usd) from {table} final",
    "what arrived in the last batches": "select uniq(workspace_id, toStartOfHour(occurred_at)) from {table} "
    "where _loaded_at > '{late}'",
    "one event by id": "select count() from {table} where event_id = '{event_id}'",
}


@dataclass(frozen=True)
class Measured:
    """A table filled, merged and read."""

    bytes_a_row: float
    insert_s: float
    scan_ms: dict[str, float]
    rows_read: dict[str, int]


class Stand:
    """A chDB session with the events in a plain table `source`, in the loader's batches."""

    def __init__(self, folder: Path, events: int) -> None:
        file = prepare(folder, events)
        self.session = Session(str(folder / "data"))  # type: ignore[no-untyped-call]
        self.rows = file.events
        ddl = load_migrations()[0].statements(Layout())[0]
        self.columns = ddl[ddl.index("(") : ddl.index("\nengine")].rpartition(")")[0] + ")"
        self.run("create database raw")
        plain = re.sub(r"\bcodec\((?:[^()]|\([^()]*\))*\)", "", self.columns, flags=re.IGNORECASE)
        plain = re.sub(r",\s*index .*", "\n)", plain, flags=re.DOTALL)
        self.plain = plain
        self.run(f"create table raw.source {plain} engine = MergeTree order by tuple()")
        self.names = self.run(
            "select arrayStringConcat(groupArray(name), ', ') from system.columns "
            "where database = 'raw' and table = 'source' and name not like '\\_%'"
        )
        # A second between batches, as a busy laptop lands them; messages are appended half a second before.
        self.run(
            f"insert into raw.source ({self.names}, _topic, _partition, _offset, _appended_at, _loaded_at) "
            f"select {self.names}, 'agent_events', cityHash64(workspace_id) % 3, n, loaded - 0.5, loaded from ("
            "select * replace (if(match(occurred_at, '^[0-9]+$'), fromUnixTimestamp64Milli(toInt64OrZero(occurred_at), "
            "'UTC'), parseDateTime64BestEffortOrZero(occurred_at, 3, 'UTC')) as occurred_at), "
            f"rowNumberInAllBlocks() as n, now64(3) - 3600 + intDiv(n, {BATCH}) as loaded "
            f"from file('{file.path}', 'JSONEachRow', '{self._structure()}')) "
            "settings max_threads = 1, input_format_json_read_objects_as_strings = 1, "
            "input_format_null_as_default = 1, max_insert_threads = 1"
        )
        self.workspace = self.run("select topK(1)(workspace_id)[1] from raw.source")
        self.hour = self.run("select toStartOfHour(quantileExact(toDateTime(occurred_at))) from raw.source")
        self.late = self.run("select max(_loaded_at) - 2 from raw.source")
        self.event_id = self.run("select event_id from raw.source limit 1 offset 500000")

    def run(self, sql: str) -> str:
        answer = self.session.query(sql, "TSVRaw")  # type: ignore[no-untyped-call]
        return str(answer.bytes().decode().strip())

    def _structure(self) -> str:
        declared = self.run(
            "select arrayStringConcat(groupArray(name || ' ' || type), ', ') from system.columns "
            "where database = 'raw' and table = 'source' and name not like '\\_%'"
        )
        # RFC 3339 or epoch milliseconds, as the contract allows.
        return re.sub(r"occurred_at [^)]*\)", "occurred_at String", declared).replace("'", "''")

    def bytes_by_column(self, codec: str) -> dict[str, float]:
        """Bytes a row of each column that takes the codec, in the table's order."""
        stored = {}
        columns = self.run(
            "select name || '\t' || type from system.columns where database = 'raw' and table = 'source'"
        )
        takes = {}
        for line in columns.splitlines():
            name, kind = line.split("\t")
            try:
                self.run(f"create table raw.probe (c {kind} codec({codec})) engine = MergeTree order by tuple()")
                takes[name] = kind
            except RuntimeError:
                continue
            finally:
                self.run("drop table if exists raw.probe")
        declared = ", ".join(f"{name} {kind} codec({codec})" for name, kind in takes.items())
        self.run(f"create table raw.probe ({declared}) engine = MergeTree order by tuple()")
        names = ", ".join(takes)
        self.run(
            f"insert into raw.probe ({names}) select {names} from raw.source "
            "order by workspace_id, event_type, occurred_at, event_id"
        )
        self.run("optimize table raw.probe final")
        sizes = self.run(
            "select name, data_compressed_bytes from system.columns where database = 'raw' and table = 'probe'"
        )
        for line in sizes.splitlines():
            name, size = line.split("\t")
            stored[name] = int(size) / self.rows
        self.run("drop table raw.probe")
        return stored

    def measure(self, columns: str, order: str, settings: str = "index_granularity = 8192") -> Measured:
        """Fills a table in the loader's batches, merges it to one part and asks the typical queries."""
        names = f"{self.names}, _topic, _partition, _offset, _appended_at, _loaded_at"
        self.run(
            f"create table raw.candidate {columns} engine = ReplacingMergeTree(_version) "
            f"partition by toYYYYMM(occurred_at) order by {order} settings {settings}"
        )
        started = time.monotonic()
        for first in range(0, self.rows, BATCH):
            self.run(
                f"insert into raw.candidate ({names}) select {names} from raw.source where _offset >= {first} "
                f"and _offset < {first + BATCH} settings max_insert_threads = 1"
            )
        insert_s = time.monotonic() - started
        self.run("optimize table raw.candidate final")
        size = self.run(
            "select sum(bytes_on_disk) from system.parts where database = 'raw' and table = 'candidate' and active"
        )
        scan_ms, rows_read = {}, {}
        for name, sql in QUERIES.items():
            query = sql.format(
                table="raw.candidate",
                workspace=self.workspace,
                hour=self.hour,
                late=self.late,
                event_id=self.event_id,
            )
            best = float("inf")
            for _ in range(5):
                started = time.monotonic()
                self.run(query)
                best = min(best, time.monotonic() - started)
            estimate = self.run(f"explain estimate {query}").split("\t")
            scan_ms[name], rows_read[name] = best * 1000, int(estimate[3]) if len(estimate) > 3 else 0
        self.run("drop table raw.candidate")
        return Measured(int(size) / self.rows, insert_s, scan_ms, rows_read)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    events = parser.parse_args().events
    console = Console(width=180)
    with tempfile.TemporaryDirectory(prefix="meterhouse-codecs-") as folder:
        stand = Stand(Path(folder), events)
        by_codec = {codec: stand.bytes_by_column(codec) for codec in SAMPLED_CODECS}
        console.print(_codec_table(by_codec))
        order = "(workspace_id, event_type, occurred_at, event_id)"
        by_hour = "(workspace_id, event_type, toStartOfHour(occurred_at), event_id)"
        zstd = "index_granularity = 8192, default_compression_codec = 'ZSTD(1)'"
        without_index = re.sub(r",\s*index .*", "\n)", stand.columns, flags=re.DOTALL)
        with_bloom = (
            stand.columns.rstrip()[:-1].rstrip() + ", index by_id event_id type bloom_filter(0.01) granularity 1)"
        )
        measured = {
            "engine's default (LZ4)": stand.measure(stand.plain, order),
            "LZ4, ordered by the hour": stand.measure(stand.plain, by_hour),
            "ZSTD(1) for all": stand.measure(stand.plain, order, zstd),
            "as migrated": stand.measure(stand.columns, order),
            "as migrated, ordered by the hour": stand.measure(stand.columns, by_hour),
            "as migrated, without skip indexes": stand.measure(without_index, order),
            "as migrated, with a bloom filter on event_id": stand.measure(with_bloom, order),
        }
        console.print(_candidate_table(measured))


def _codec_table(by_codec: dict[str, dict[str, float]]) -> Table:
    table = Table("bytes a row", *by_codec, title="Columns by codec")
    for name in by_codec[SAMPLED_CODECS[0]]:
        sizes = {codec: columns[name] for codec, columns in by_codec.items() if name in columns}
        least = min(sizes.values())
        cells = [
            ""
            if codec not in sizes
            else f"[bold]{sizes[codec]:.2f}[/]"
            if sizes[codec] == least
            else f"{sizes[codec]:.2f}"
            for codec in by_codec
        ]
        table.add_row(name, *cells)
    return table


def _candidate_table(measured: dict[str, Measured]) -> Table:
    base = next(iter(measured.values()))
    table = Table("candidate", "bytes a row", "insert", *QUERIES, title="Tables: time against the first; rows read")
    for name, one in measured.items():
        cells = [f"{one.scan_ms[q] / base.scan_ms[q]:.2f} ({one.rows_read[q]:,})" for q in QUERIES]
        table.add_row(name, f"{one.bytes_a_row:.1f}", f"{one.insert_s / base.insert_s:.2f}", *cells)
    return table


if __name__ == "__main__":
    main()
