"""What the models cost, and whether it grows with history: `python -m bench.models`, and half of `make bench`.

Two engines hold the same company at the same rate of events, one of them ten times as far back. Both are built whole,
then five minutes of events land in each in turn, with copies and late ones, and `dbt run` follows: its time, its CPU
and memory, and the dashboards' queries on the longer one. Everything is started here and stopped here.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

from rich.console import Console

from bench import models_data, models_report, stand
from bench.models_place import FLAGS, Place, build, busy, open_place, others_share, settle
from bench.models_queries import ask
from bench.models_report import House, Parsing
from ingest.building import dbt
from ingest.settings import Settings

GROWTH: Final = 10
_RESULTS = Path(__file__).parent / "results.json"
_INSERTS_AHEAD: Final = 2
_TOLD_EVERY: Final = 1_000_000
_DBT: Final = (sys.executable, "-m", "dbt.cli.main")


def measure(
    events: int, rounds: int, folder: Path, console: Console, *, is_quick: bool = False
) -> models_report.Models:
    """The whole bench in `folder`: histories of `events` and ten times as many; of `events` alone when quick."""
    sizes = [events] if is_quick else [events, events * GROWTH]
    places: list[Place] = []
    try:
        for size in sizes:
            places.append(open_place(folder / f"models{size}"))  # noqa: PERF401  # an engine that does not start stops the rest
        console.print(f"models: landing {' and '.join(f'{size:,}' for size in sizes)} events")
        later = _land_history(places, sizes, rounds, console)
        parsing = _parsing(places[0].settings)
        houses = []
        for size, place in zip(sizes, places, strict=True):
            build(place, ["seed", *FLAGS])
            # What was just landed is merged first; a build is not to pay for that.
            settle(place.client)
            console.print(f"models: building {size:,} events whole")
            whole = build(place, ["run", "--full-refresh", *FLAGS], others=places)
            console.print(
                f"models: {size:,} events built whole in {whole.seconds:.1f} s, {whole.nodes_s:.1f} s in models"
            )
            houses.append(House(size, whole, []))
        for number, lines in enumerate(later, start=1):
            for house, place in zip(houses, places, strict=True):
                settle(place.client)
                models_data.land(place.client, lines)
                built = build(place, ["run", *FLAGS], others=places, landed=len(lines))
                house.increments.append(built)
                console.print(
                    f"models: increment {number} of {len(lines)} messages on {house.events:,}: {built.seconds:.1f} s, "
                    f"{built.nodes_s:.1f} s in models, {built.engine_cpu_s:.1f} s of the engine's CPU"
                )
        settle(places[-1].client)
        before = busy(places)
        asked = ask(places[-1].client, 3 if is_quick else 20)
        asked_others = others_share(before, busy(places))
    finally:
        for place in places:
            place.client.close()
            place.engine.stop()
    return models_report.collect(parsing, houses, asked, asked_others)


def _land_history(
    places: Sequence[Place], sizes: Sequence[int], rounds: int, console: Console
) -> list[Sequence[bytes]]:
    """Lands the histories while more is simulated, a few inserts ahead at most; the lines of each increment."""
    later: list[Sequence[bytes]] = [[] for _ in range(rounds)]
    began, landed, told = time.monotonic(), 0, 0
    with ThreadPoolExecutor(max_workers=1) as hand:
        flying: deque[Future[None]] = deque()
        for landing in models_data.landings(sizes[-1], sizes[0], rounds):
            if landing.number:
                later[landing.number - 1] = landing.lines
                continue
            for place, size in zip(places, sizes, strict=True):
                if landing.is_recent or size == sizes[-1]:
                    flying.append(hand.submit(models_data.land, place.client, landing.lines))
            while len(flying) > _INSERTS_AHEAD:
                flying.popleft().result()
            landed += len(landing.lines)
            if landed // _TOLD_EVERY > told:
                told = landed // _TOLD_EVERY
                console.print(f"models: {landed:,} messages landed in {time.monotonic() - began:.0f} s")
        for one in flying:
            one.result()
    return later


def _parsing(settings: Settings) -> Parsing:
    """Times of `dbt parse` from nothing, and where nothing changed since."""
    took = []
    for more in (["--no-partial-parse"], []):
        began = time.monotonic()
        subprocess.run(
            [*_DBT, "parse", *FLAGS, *more],
            cwd=dbt.project_folder(),
            env={**os.environ, **dbt.environment(settings)},
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        took.append(time.monotonic() - began)
    return Parsing(took[0], took[1])


def main() -> int:
    """The models' bench alone; its figures replace those of the last one in bench/results.json."""
    parser = argparse.ArgumentParser(prog="python -m bench.models", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="the shorter history; the longer is ten times it")
    parser.add_argument("--rounds", type=int, default=3, help="increments of five minutes")
    parser.add_argument("--quick", action="store_true", help="20,000 events, one increment; no growth, nothing written")
    given = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, 110)
    events, rounds = (20_000, 1) if given.quick else (given.events, given.rounds)
    with tempfile.TemporaryDirectory(prefix="meterhouse-bench-") as made:
        models = measure(events, rounds, Path(made), console, is_quick=given.quick)
    models_report.show(models, console)
    if not given.quick:
        models_report.write(models, _RESULTS)
    return 0 if given.quick or all(target.is_reached for target in models.targets) else 1


if __name__ == "__main__":
    sys.exit(stand.stopped_cleanly(main))
