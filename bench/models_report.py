"""Figures of the models' bench: a table for people, `models` in bench/results.json for machines."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import msgspec
from rich.console import Console
from rich.table import Table

from bench.models_queries import Asked
from bench.report import QUIET_SHARE, Target, _rounded, machine_facts

MOST_GROWTH = 1.3
MOST_QUERY_P95_MS = 200.0
_SLOWEST = 5


@dataclass(frozen=True, slots=True)
class Build:
    """One dbt process. `nodes_s` is dbt's own figure for seeds and models; the rest of `seconds` is its start, reading
    the project and going home. Memory in MB of 10**6 bytes: the engine's resident, and of its largest statement.
    `read_rows` is by model, which a crowded machine does not change.
    """

    landed: int
    seconds: float
    nodes_s: float
    engine_cpu_s: float
    dbt_cpu_s: float
    others_share: float
    engine_peak_mb: float
    largest_statement_of: str
    largest_statement_mb: float
    node_s: dict[str, float]
    read_rows: dict[str, int]


@dataclass(frozen=True, slots=True)
class House:
    """One history: built whole, then in increments."""

    events: int
    whole: Build
    increments: list[Build]

    def middle(self, figure: str) -> float:
        """The median over the increments of one of Build's figures."""
        return float(median(getattr(one, figure) for one in self.increments))

    def node_s(self) -> dict[str, float]:
        """The median over the increments of each model's seconds."""
        return {name: median(one.node_s[name] for one in self.increments) for name in self.increments[0].node_s}

    def read_rows(self) -> dict[str, float]:
        """The median over the increments of the rows each model read."""
        names = {name for one in self.increments for name in one.read_rows}
        return {name: median(one.read_rows.get(name, 0) for one in self.increments) for name in names}


@dataclass(frozen=True, slots=True)
class Parsing:
    """Seconds of a `dbt parse`: everything anew, and with nothing changed since the last."""

    whole_s: float
    unchanged_s: float


@dataclass(frozen=True, slots=True)
class Models:
    """Everything of one bench of the models. The queries ran on the last house."""

    measured_at: str
    machine: dict[str, str]
    parsing: Parsing
    houses: list[House]
    queries: list[Asked]
    queries_others_share: float
    targets: list[Target]


def collect(parsing: Parsing, houses: Sequence[House], queries: Sequence[Asked], queries_others: float) -> Models:
    """Growth compares medians of increments that landed in both in turn; one house alone has none."""
    slowest = max(queries, key=lambda one: one.p95_ms)
    targets = [Target(f"slowest dashboard query ({slowest.name}), p95 ms", MOST_QUERY_P95_MS, False, slowest.p95_ms)]
    if len(houses) > 1:
        growth = houses[-1].middle("seconds") / houses[0].middle("seconds")
        name = f"increment at {houses[-1].events:,} : at {houses[0].events:,}"
        targets.insert(0, Target(name, MOST_GROWTH, False, growth))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Models(now, machine_facts(), parsing, list(houses), list(queries), queries_others, targets)


def write(models: Models, path: Path) -> None:
    """Puts the figures under `models`, beside the loader's."""
    written: dict[str, object] = msgspec.json.decode(path.read_bytes(), type=dict[str, object]) if path.exists() else {}
    targets = [asdict(target) | {"is_reached": target.is_reached} for target in models.targets]
    written["models"] = _rounded(asdict(models) | {"targets": targets})
    path.write_bytes(msgspec.json.format(msgspec.json.encode(written), indent=2) + b"\n")


def show(models: Models, console: Console) -> None:
    """Builds by size of history, the slowest models, the queries, the targets."""
    builds = Table(title="models: medians of the increments, seconds", title_justify="left")
    headings = ("history", "build", "whole", "in models", "engine CPU", "dbt CPU", "engine MB", "largest statement")
    for heading in (*headings, "others"):
        builds.add_column(heading, justify="left" if heading in ("build", "largest statement") else "right")
    for house in models.houses:
        last = house.increments[-1]
        builds.add_row(f"{house.events:,}", "all of it", *_figures(house.whole))
        builds.add_row(
            "",
            f"5 min, {round(house.middle('landed'))} messages",
            f"{house.middle('seconds'):.1f}",
            f"{house.middle('nodes_s'):.1f}",
            f"{house.middle('engine_cpu_s'):.1f}",
            f"{house.middle('dbt_cpu_s'):.1f}",
            f"{max(one.engine_peak_mb for one in house.increments):.0f}",
            f"{last.largest_statement_mb:.0f} MB {last.largest_statement_of}",
            f"{house.middle('others_share'):.0%}",
        )
    console.print(builds)
    console.print(
        f"dbt parse: {models.parsing.whole_s:.1f} s anew, {models.parsing.unchanged_s:.1f} s with nothing changed; "
        "`whole` less `in models` is dbt's start"
    )
    console.print(_slowest(models.houses))
    if len(models.houses) > 1:
        console.print(_growing(models.houses))
    queries = Table("query on the marts", "rows", "p50 ms", "p95 ms", title="dashboards", title_justify="left")
    for one in models.queries:
        queries.add_row(one.name, f"{one.rows:,}", f"{one.p50_ms:.0f}", f"{one.p95_ms:.0f}")
    console.print(queries)
    shares = [one.others_share for house in models.houses for one in house.increments]
    if max(*shares, models.queries_others_share) > QUIET_SHARE:
        console.print(
            f"[yellow]This machine was not quiet[/]: other processes took up to {max(shares):.0%} of it during the "
            f"increments and {models.queries_others_share:.0%} during the queries."
        )
    verdicts = Table("target", "asked", "measured", "")
    for target in models.targets:
        verdict = "[green]reached[/]" if target.is_reached else "[red]missed[/]"
        verdicts.add_row(target.name, f"at most {target.bound:g}", f"{target.value:.2f}", verdict)
    console.print(verdicts)


def _figures(build: Build) -> tuple[str, ...]:
    return (
        f"{build.seconds:.1f}",
        f"{build.nodes_s:.1f}",
        f"{build.engine_cpu_s:.1f}",
        f"{build.dbt_cpu_s:.1f}",
        f"{build.engine_peak_mb:.0f}",
        f"{build.largest_statement_mb:.0f} MB {build.largest_statement_of}",
        f"{build.others_share:.0%}",
    )


def _slowest(houses: Sequence[House]) -> Table:
    """The slowest models of an increment on the last house, beside the same on the first."""
    table = Table("model", *(f"{house.events:,}" for house in houses), title="slowest in an increment, s")
    times = [house.node_s() for house in houses]
    for name in sorted(times[-1], key=lambda one: times[-1][one], reverse=True)[:_SLOWEST]:
        table.add_row(name, *(f"{one[name]:.2f}" for one in times))
    return table


def _growing(houses: Sequence[House]) -> Table:
    """The models that read most rows more on the last house than on the first: where growth comes from."""
    table = Table("model", *(f"{house.events:,}" for house in houses), title="more rows read with more history")
    rows = [house.read_rows() for house in houses]
    more = {name: count - rows[0].get(name, 0) for name, count in rows[-1].items()}
    for name in sorted(more, key=lambda one: more[one], reverse=True)[:_SLOWEST]:
        table.add_row(name, *(f"{one.get(name, 0):,.0f}" for one in rows))
    return table
