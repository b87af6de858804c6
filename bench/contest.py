"""Three ways of the same events into the same table, in turn, and what each took.

Every run gets tables of its own, dropped after it, so that no run pays for the merges of another. Times run from the
first byte read to the moment the last row answers a query; start-up (process, group membership) is told apart.
"""

import subprocess
import sys
import time
import urllib.parse
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
import urllib3
from clickhouse_connect.driver.client import Client

from bench import stand
from bench.events import EventFile
from bench.passthrough import Outcome
from bench.usage import Watched, cpu_seconds
from ingest.embedded import processes

LOADER_DEADLINE_S = 300.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a contest is held."""

    folder: Path
    engine_port: int
    engine_pid: int
    bootstrap: str
    broker_pid: int
    client: Client
    topic_prefix: str
    topic: str


@dataclass(frozen=True, slots=True)
class Run:
    """One run. CPU in seconds, memory in MB; `startup_s` is outside `seconds`, zero where there is none."""

    way: str
    events: int
    seconds: float
    startup_s: float
    loader_cpu_s: float
    engine_cpu_s: float
    broker_cpu_s: float
    loader_peak_mb: float

    @property
    def rate(self) -> float:
        return self.events / self.seconds


class _Cpu:
    """The engine's and the broker's CPU since it was made."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._engine_s, self._broker_s = cpu_seconds(place.engine_pid), cpu_seconds(place.broker_pid)

    def used(self) -> tuple[float, float]:
        engine_s, broker_s = cpu_seconds(self._place.engine_pid), cpu_seconds(self._place.broker_pid)
        return engine_s - self._engine_s, broker_s - self._broker_s


def run_import(place: Place, source: EventFile, number: int) -> Run:
    """The engine's own import: the file as the body of one INSERT … FORMAT JSONEachRow, parsed in parallel."""
    prefix = f"bench_import{number}_"
    stand.make_tables(place.client, prefix)
    settings = {
        "query": f"insert into {prefix}raw.agent_events format JSONEachRow",
        "date_time_input_format": "best_effort",
        "input_format_parallel_parsing": "1",
    }
    target = f"{stand.engine_url(place.engine_port)}/?{urllib.parse.urlencode(settings)}"
    cpu, started = _Cpu(place), time.monotonic()
    with source.path.open("rb") as body:
        answer = urllib3.PoolManager().request(
            "POST", target, body=body, headers={"Content-Length": str(source.size_bytes)}, timeout=600
        )
    if answer.status != 200:
        raise RuntimeError(f"expected 200 for the import of {source.path}, came {answer.status}: {answer.data[:300]!r}")
    seconds = time.monotonic() - started
    _expect_rows(place.client, f"{prefix}raw.agent_events", source.events)
    engine_s, broker_s = cpu.used()
    stand.drop_tables(place.client, prefix)
    return Run("import", source.events, seconds, 0, 0, engine_s, broker_s, 0)


def run_passthrough(place: Place, source: EventFile, number: int) -> Run:
    """bench/passthrough.py in a process of its own."""
    prefix = f"bench_pass{number}_"
    stand.make_tables(place.client, prefix)
    topic = f"{place.topic_prefix}{place.topic}"
    table, url = f"{prefix}raw.agent_events", stand.engine_url(place.engine_port)
    argv = [sys.executable, "-m", "bench.passthrough", place.bootstrap, url, table, topic, str(source.events)]
    cpu, started = _Cpu(place), time.time()
    process = subprocess.Popen(argv, stdout=subprocess.PIPE)
    ended = Watched(process).wait()
    assert process.stdout is not None
    outcome = msgspec.json.decode(process.stdout.read().splitlines()[-1], type=Outcome)
    _expect_rows(place.client, table, source.events)
    engine_s, broker_s = cpu.used()
    stand.drop_tables(place.client, prefix)
    return Run(
        way="passthrough",
        events=source.events,
        seconds=outcome.landed_at - outcome.reading_at,
        startup_s=outcome.reading_at - started,
        loader_cpu_s=ended.cpu_s,
        engine_cpu_s=engine_s,
        broker_cpu_s=broker_s,
        loader_peak_mb=ended.peak_rss_mb,
    )


def run_loader(place: Place, source: EventFile, number: int) -> Run:
    """`meterhouse load --drain` in a process of its own, timed from its taking up of partitions as its log tells."""
    prefix = f"bench_load{number}_"
    stand.make_tables(place.client, prefix)
    table, log = f"{prefix}raw.agent_events", place.folder / f"{prefix}loader.log"
    log.unlink(missing_ok=True)
    cpu, started = _Cpu(place), time.time()
    process = stand.start_loader(log, loader_environment(place, prefix), "--drain")
    watched = Watched(process)
    landed_at = _wait_rows(place.client, table, source.events, process.pid)
    ended = watched.wait()
    if ended.exit_code != 0:
        raise RuntimeError(f"expected exit code 0 of the loader, came {ended.exit_code}: {processes.tail(log)}")
    _expect_rows(place.client, table, source.events)
    reading_at = assigned_at(log)
    engine_s, broker_s = cpu.used()
    stand.drop_tables(place.client, prefix)
    return Run(
        way="loader",
        events=source.events,
        seconds=landed_at - reading_at,
        startup_s=reading_at - started,
        loader_cpu_s=ended.cpu_s,
        engine_cpu_s=engine_s,
        broker_cpu_s=broker_s,
        loader_peak_mb=ended.peak_rss_mb,
    )


def loader_environment(place: Place, prefix: str) -> dict[str, str]:
    """A loader's environment with the default settings, but for where things are."""
    return stand.loader_environment(
        url=stand.engine_url(place.engine_port),
        bootstrap=place.bootstrap,
        prefix=prefix,
        topics=[place.topic],
        home=place.folder,
        more={"METERHOUSE_TOPIC_PREFIX": place.topic_prefix, "METERHOUSE_LOG_FORMAT": "json"},
    )


def assigned_at(log: Path) -> float:
    """Epoch seconds at which the loader of this log first took up partitions."""
    for line in log.read_text(encoding="utf-8").splitlines():
        if '"took_up"' in line:
            return datetime.fromisoformat(msgspec.json.decode(line, type=_LogLine).timestamp).timestamp()
    raise RuntimeError(f"expected a line took_up in the loader's log, found none: {processes.tail(log)}")


class _LogLine(msgspec.Struct):
    timestamp: str


def _wait_rows(client: Client, table: str, wanted: int, pid: int) -> float:
    """Epoch seconds when the table first answered with all rows, or when the loader ended without them."""
    deadline = time.monotonic() + LOADER_DEADLINE_S
    while _rows(client, table) < wanted and processes.identity(pid) is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    return time.time()


def _rows(client: Client, table: str) -> int:
    return int(client.query(f"select count() from {table}").result_rows[0][0])


def _expect_rows(client: Client, table: str, wanted: int) -> None:
    found = _rows(client, table)
    if found != wanted:
        raise RuntimeError(
            f"expected {wanted} rows in {table}, found {found}: the figures would compare different work"
        )
