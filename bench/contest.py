"""Ways of the same events into the same table, in turn, and what each took.

Every run gets tables of its own, dropped after it, so that no run pays for the merges of another. Times run from the
moment partitions are taken up (the import: from the first byte) to the engine's answer to the last insert, after which
every row answers a query; the start before it (process, group membership) is told apart, in seconds and in CPU. Nobody
asks the engine anything meanwhile.
"""

import os
import signal
import subprocess
import sys
import time
import urllib.parse
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec
import urllib3
from clickhouse_connect.driver.client import Client

from bench import stand
from bench.events import EventFile
from bench.passthrough import Outcome
from bench.usage import Watched, cpu_seconds, machine_seconds
from ingest.embedded import processes

LOADER_DEADLINE_S = 300.0
ONE_LOADER, TWO_LOADERS = "loader", "2 loaders"


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
    """One run. CPU in seconds, memory in MB. What the start took is outside `seconds` and `loader_cpu_s`; zero where
    there is none. `others_share`: of the machine's CPU in that time, what other processes than ours took."""

    way: str
    events: int
    seconds: float
    startup_s: float
    startup_cpu_s: float
    others_share: float
    loader_cpu_s: float
    engine_cpu_s: float
    broker_cpu_s: float
    loader_peak_mb: float

    @property
    def rate(self) -> float:
        return self.events / self.seconds


class _Cpu:
    """CPU since it was made: the engine's, the broker's, and the machine's."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._begun = self._now()

    def used(self) -> tuple[float, float]:
        """Engine and broker."""
        now = self._now()
        return now[0] - self._begun[0], now[1] - self._begun[1]

    def others_share(self, ours_s: float) -> float:
        """The share of the machine that neither the two servers nor `ours_s` seconds of a contestant account for."""
        engine_s, broker_s, busy_s, all_s = (now - then for now, then in zip(self._now(), self._begun, strict=True))
        return max(0.0, busy_s - engine_s - broker_s - ours_s) / max(all_s, 0.01)

    def _now(self) -> tuple[float, float, float, float]:
        return (cpu_seconds(self._place.engine_pid), cpu_seconds(self._place.broker_pid), *machine_seconds())


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
    engine_s, broker_s = cpu.used()
    others = cpu.others_share(0)
    _expect_rows(place.client, f"{prefix}raw.agent_events", source.events)
    stand.drop_tables(place.client, prefix)
    return Run("import", source.events, seconds, 0, 0, others, 0, engine_s, broker_s, 0)


def run_two_loaders(place: Place, source: EventFile, number: int) -> Run:
    """The same with as many processes as the machine that the targets are for has cores."""
    return run_loader(place, source, number, 2)


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
    engine_s, broker_s = cpu.used()
    others = cpu.others_share(ended.cpu_s)
    assert process.stdout is not None
    outcome = msgspec.json.decode(process.stdout.read().splitlines()[-1], type=Outcome)
    _expect_rows(place.client, table, source.events)
    stand.drop_tables(place.client, prefix)
    return Run(
        way="passthrough",
        events=source.events,
        seconds=outcome.landed_at - outcome.reading_at,
        startup_s=outcome.reading_at - started,
        startup_cpu_s=outcome.startup_cpu_s,
        others_share=others,
        loader_cpu_s=ended.cpu_s - outcome.startup_cpu_s,
        engine_cpu_s=engine_s,
        broker_cpu_s=broker_s,
        loader_peak_mb=ended.peak_mb,
    )


def run_loader(place: Place, source: EventFile, number: int, count: Literal[1, 2] = 1) -> Run:
    """`meterhouse load --drain --processes COUNT`, timed from its first taking up of partitions as its log tells."""
    prefix = f"bench_load{count}_{number}_"
    stand.make_tables(place.client, prefix)
    table, log = f"{prefix}raw.agent_events", place.folder / f"{prefix}loader.log"
    log.unlink(missing_ok=True)
    cpu, started = _Cpu(place), time.time()
    process = stand.start_loader(log, loader_environment(place, prefix), "--drain", "--processes", str(count))
    watched = Watched(process)
    startup_cpu_s = _wait_reading(log, process.pid)
    _wait_end(process.pid)
    ended = watched.wait()
    engine_s, broker_s = cpu.used()
    others = cpu.others_share(ended.cpu_s)
    if ended.exit_code != 0:
        raise RuntimeError(f"expected exit code 0 of the loader, came {ended.exit_code}: {processes.tail(log)}")
    _expect_rows(place.client, table, source.events)
    reading_at, landed_at = assigned_at(log), _last_proof(place.client, f"{prefix}ops.load_batches")
    stand.drop_tables(place.client, prefix)
    return Run(
        way=ONE_LOADER if count == 1 else TWO_LOADERS,
        events=source.events,
        seconds=landed_at - reading_at,
        startup_s=reading_at - started,
        startup_cpu_s=startup_cpu_s,
        others_share=others,
        loader_cpu_s=ended.cpu_s - startup_cpu_s,
        engine_cpu_s=engine_s,
        broker_cpu_s=broker_s,
        loader_peak_mb=ended.peak_mb,
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


def _wait_reading(log: Path, pid: int) -> float:
    """The CPU seconds the loader had used when it took up partitions, or when it ended without."""
    used_s = 0.0
    while processes.identity(pid) is not None:
        used_s = cpu_seconds(pid)
        if b'"took_up"' in log.read_bytes():
            break
        time.sleep(0.01)
    return used_s


def _wait_end(pid: int) -> None:
    """Ends the loader when it has not ended by itself in time."""
    deadline = time.monotonic() + LOADER_DEADLINE_S
    while processes.identity(pid) is not None:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def _last_proof(client: Client, table: str) -> float:
    """Epoch seconds by the engine's clock, this machine's, at which the proof of the last run came, after its rows."""
    (row,) = client.query(f"select toUnixTimestamp64Milli(max(landed_at)) from {table}").result_rows
    return int(row[0]) / 1000


def _rows(client: Client, table: str) -> int:
    return int(client.query(f"select count() from {table}").result_rows[0][0])


def _expect_rows(client: Client, table: str, wanted: int) -> None:
    found = _rows(client, table)
    if found != wanted:
        raise RuntimeError(
            f"expected {wanted} rows in {table}, found {found}: the figures would compare different work"
        )
