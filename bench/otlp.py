"""`python -m bench.otlp`: how many spans a second go from Kafka into raw.otel_traces, all on these cores.

In: how many spans, in requests of how many, in protobuf, produced before the clock runs. Out: an OtlpRun. The time runs
from the loader's taking up of partitions to the proof of its last run; see docs/performance.md for the words.
"""

import argparse
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench import stand
from bench.contest import LOADER_DEADLINE_S, assigned_at
from bench.usage import Watched, cpu_seconds, machine_seconds
from ingest.embedded import processes
from ingest.kafka import open_producer, producer_config
from tests.support.otlp_requests import traces
from tests.support.servers import free_port

PREFIX = "bench_otlp_"
TOPIC = f"{PREFIX}otlp_traces"
LEAST_SPANS_PER_S = 30_000
_PARTITIONS = 3
_DISTINCT_REQUESTS = 400


@dataclass(frozen=True, slots=True)
class OtlpRun:
    """One run. CPU in seconds, memory in MB; the start is in none of the figures but the peak. `others_share`: of the
    machine's CPU, what other processes than ours took."""

    spans: int
    request_bytes: int
    seconds: float
    others_share: float
    loader_cpu_s: float
    engine_cpu_s: float
    broker_cpu_s: float
    loader_peak_mb: float

    @property
    def rate(self) -> float:
        """Spans a second."""
        return self.spans / self.seconds


def measure(spans: int, folder: Path, spans_a_request: int = 100) -> OtlpRun:
    """One run in `folder`. Raises RuntimeError where not every span landed."""
    engine_port, broker_port = free_port(), free_port()
    bootstrap = f"127.0.0.1:{broker_port}"
    engine = stand.start_engine(folder / "engine", engine_port)
    try:
        broker = stand.start_broker(folder / "broker", broker_port)
        try:
            stand.make_topics(bootstrap, [TOPIC], _PARTITIONS)
            sent, size = _produce(bootstrap, spans, spans_a_request)
            return _load(folder, engine_port, bootstrap, (engine.pid, broker.pid), sent, size)
        finally:
            broker.stop()
    finally:
        engine.stop()


def _produce(bootstrap: str, spans: int, spans_a_request: int) -> tuple[int, int]:
    """Sends the requests; how many spans those were, and the bytes of one request. Requests repeat: what the loader
    does for a span does not depend on its ids, and all copies land as rows of their own."""
    source = random.Random(1)  # the same requests every time
    made = [
        traces(spans_a_request, time.time_ns(), source).SerializeToString()
        for _ in range(min(_DISTINCT_REQUESTS, max(1, spans // spans_a_request)))
    ]
    producer = open_producer(producer_config(bootstrap, {}))
    requests = spans // spans_a_request
    for number in range(requests):
        while True:
            try:
                producer.produce(TOPIC, made[number % len(made)], partition=number % _PARTITIONS)
                break
            except BufferError:
                producer.poll(0.1)
    if producer.flush(60):
        raise RuntimeError("expected the broker to take every request within 60 s; it did not")
    return requests * spans_a_request, len(made[0])


def _load(
    folder: Path, engine_port: int, bootstrap: str, servers: tuple[int, int], spans: int, request_bytes: int
) -> OtlpRun:
    client = stand.open_client(engine_port)
    stand.make_tables(client, PREFIX)
    log = folder / "loader.log"
    environment = stand.loader_environment(
        url=stand.engine_url(engine_port),
        bootstrap=bootstrap,
        prefix=PREFIX,
        topics=["agent_events"],
        home=folder,
        more={"METERHOUSE_OTLP_TRACES_TOPICS": "otlp_traces", "METERHOUSE_LOG_FORMAT": "json"},
    )
    busy_before, all_before = machine_seconds()
    before = [cpu_seconds(pid) for pid in servers]
    process = stand.start_loader(log, environment, "--drain")
    watched = Watched(process)
    startup_cpu_s = 0.0
    deadline = time.monotonic() + LOADER_DEADLINE_S
    while processes.identity(process.pid) is not None and time.monotonic() < deadline:
        if b'"took_up"' not in log.read_bytes():
            startup_cpu_s = cpu_seconds(process.pid)
            before = [cpu_seconds(pid) for pid in servers]
            busy_before, all_before = machine_seconds()
        time.sleep(0.02)
    ended = watched.wait()
    if ended.exit_code != 0:
        raise RuntimeError(f"expected exit code 0 of the loader, came {ended.exit_code}: {processes.tail(log)}")
    busy, all_s = (now - then for now, then in zip(machine_seconds(), (busy_before, all_before), strict=True))
    engine_s, broker_s = (cpu_seconds(pid) - then for pid, then in zip(servers, before, strict=True))
    ((landed,),) = client.query(f"select count() from {PREFIX}raw.otel_traces").result_rows  # our name
    if landed != spans:
        raise RuntimeError(f"expected {spans} spans to land, found {landed}")
    ((ended_ms,),) = client.query(
        f"select toUnixTimestamp64Milli(max(landed_at)) from {PREFIX}ops.load_batches"  # our name
    ).result_rows
    client.close()
    loader_s = ended.cpu_s - startup_cpu_s
    return OtlpRun(
        spans=spans,
        request_bytes=request_bytes,
        seconds=int(ended_ms) / 1000 - assigned_at(log),
        others_share=max(0.0, busy - loader_s - engine_s - broker_s) / max(all_s, 0.001),
        loader_cpu_s=loader_s,
        engine_cpu_s=engine_s,
        broker_cpu_s=broker_s,
        loader_peak_mb=ended.peak_mb,
    )


def show(run: OtlpRun, console: Console) -> None:
    """The figures, in words."""
    micro = 1e6 / run.spans
    console.print(
        f"{run.spans:,} spans in requests of {run.request_bytes:,} bytes: {run.rate:,.0f} spans/s; "
        f"CPU a span: loader {run.loader_cpu_s * micro:.1f} µs, engine {run.engine_cpu_s * micro:.1f}, "
        f"broker {run.broker_cpu_s * micro:.1f}; loader's peak memory {run.loader_peak_mb:.0f} MB; "
        f"others took {run.others_share:.0%} of the machine"
    )


def main() -> int:
    """Parse, measure, tell; exit code 1 where the least rate is missed and nobody else took the machine."""
    parser = argparse.ArgumentParser(prog="python -m bench.otlp", description=__doc__)
    parser.add_argument("--spans", type=int, default=400_000, help="spans of the run")
    parser.add_argument("--a-request", type=int, default=100, help="spans in an export request")
    given = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    with tempfile.TemporaryDirectory(prefix="meterhouse-bench-otlp-") as folder:
        run = measure(given.spans, Path(folder), given.a_request)
    show(run, console)
    is_missed = run.rate < LEAST_SPANS_PER_S and run.others_share < 0.1
    if run.rate < LEAST_SPANS_PER_S:
        console.print(f"asked are at least {LEAST_SPANS_PER_S:,} spans/s")
    return int(is_missed)


if __name__ == "__main__":
    sys.exit(main())
