"""`python -m bench`: starts engines and a broker of its own, measures, prints, writes bench/results.json, stops all.

First the loader, OTLP and the front door, then the models, then how soon a person hears of an incident (into
docs/alerting.md) and what a tick of each sensor costs; not these two with --quick. Exit code 0 when every target is
reached, 1 when one is missed (figures of speed: not with --quick), not everything landed or was acknowledged, a model
does not build, or an alert comes late, twice or for nothing.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from bench import (
    contest,
    door,
    events,
    incidents,
    latency,
    models,
    models_otlp,
    models_report,
    otlp,
    report,
    sensors,
    stand,
)
from ingest.building.dbt import project_folder
from tests.support.servers import free_port

_PARTITIONS = 3
# Events or spans a second through the front door, with load generator and broker on the same two cores.
DOOR_RATE = 40_000
_RESULTS = Path(__file__).parent / "results.json"


def measure(count: int, rounds: int, pace_s: float, folder: Path, console: Console) -> report.Results:
    """One whole bench in `folder`."""
    console.print(f"preparing {count:,} events")
    source = events.prepare(folder, count)
    engine_port, broker_port = free_port(), free_port()
    bootstrap = f"127.0.0.1:{broker_port}"
    engine = stand.start_engine(folder / "engine", engine_port)
    try:
        broker = stand.start_broker(folder / "broker", broker_port)
        try:
            client = stand.open_client(engine_port)
            place = contest.Place(
                folder, engine_port, engine.pid, bootstrap, broker.pid, client, "bench_", "agent_events"
            )
            stand.make_topics(bootstrap, ["bench_agent_events"], _PARTITIONS)
            produced_s = events.produce(bootstrap, "bench_agent_events", _PARTITIONS, source)
            runs: list[contest.Run] = []
            for number in range(rounds):
                for way in (contest.run_import, contest.run_passthrough, contest.run_loader, contest.run_two_loaders):
                    runs.append(way(place, source, number))
                    last = runs[-1]
                    console.print(f"round {number + 1}: {last.way} {last.rate:,.0f} events/s in {last.seconds:.2f} s")
            console.print(f"steady 5,000 events/s for {pace_s:g} s")
            took = latency.measure(place, source, 5_000, pace_s, _PARTITIONS)
            client.close()
        finally:
            broker.stop()
    finally:
        engine.stop()
    return report.collect(source.events, source.size_bytes, produced_s, runs, took)


def main() -> int:
    """Parse, measure, tell."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--events", type=int, default=200_000, help="events of a run")
    parser.add_argument("--rounds", type=int, default=3, help="times each way is run, in turn")
    parser.add_argument(
        "--model-events", type=int, default=1_000_000, help="shorter history of the models; the longer is ten times it"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one round of 150,000 events, models on one history of 20,000; writes no results, judges no ratio",
    )
    parser.add_argument("--keep", type=Path, help="folder to work in, kept; unset: a temporary one")
    given = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, 110)  # a log has no width of its own
    count, rounds, pace_s = (150_000, 1, 8.0) if given.quick else (given.events, given.rounds, 20.0)
    with tempfile.TemporaryDirectory(prefix="meterhouse-bench-") as made:
        folder = given.keep or Path(made)
        results = measure(count, rounds, pace_s, folder, console)
        report.show(results, console)
        if not given.quick:
            report.write(results, _RESULTS)
        otlp.show(otlp.measure(60_000 if given.quick else 300_000, folder / "otlp"), console)
        carried = door.measure(300 if given.quick else 2_000, folder / "door", console)
        model_events, model_rounds = (20_000, 1) if given.quick else (given.model_events, rounds)
        built = models.measure(model_events, model_rounds, folder, console, is_quick=given.quick)
        models_report.show(built, console)
        models_otlp.show(models_otlp.measure(10_000 if given.quick else 1_000_000, folder, console), console)
        if not given.quick:
            models_report.write(built, _RESULTS)
        if given.quick:
            return 0  # one round of two seconds shows that all land and about how fast; too little to fail on
        told = incidents.measure(folder, console)
        ticks = sensors.measure(folder / "sensors", console)
    sensors.show(ticks, console)
    incidents.show(told, console)
    incidents.write(told, project_folder() / incidents.PAGE)
    is_fast = all(target.is_reached for target in results.targets + built.targets)
    is_open = all(one.rate >= DOOR_RATE for one in carried)
    return 0 if is_fast and is_open and ticks[-1].is_fast and told.is_good else 1


if __name__ == "__main__":
    sys.exit(stand.stopped_cleanly(main))
