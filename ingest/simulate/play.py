"""One simulation from start to end, as a person sees it: what it will be, a progress bar, what it was.

Used by the command line; the demo may call `play` with its own console. Raises MeterhouseError where a sink fails.
"""

import time
from pathlib import Path

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ingest.errors import MeterhouseError, SettingsError
from ingest.settings import Settings, load_settings
from ingest.simulate.config import (
    HOUR_MS,
    INCIDENT_KINDS,
    MINUTE_MS,
    IncidentRequest,
    SimulationConfig,
    parse_incident,
    parse_time,
    time_text,
)
from ingest.simulate.kafka_sink import KafkaSink
from ingest.simulate.sinks import FileSink, Pacer, Sink
from ingest.simulate.stream import Simulation
from ingest.simulate.truth import Truth


def window_end(start: str | None, end: str | None, hours: float) -> int:
    """Epoch ms of the window's end: as given, or from its start, or this minute. Raises SettingsError."""
    if start is not None and end is not None:
        raise SettingsError(
            "--start and --end were both given, and --hours says how far apart they are: give one of the two."
        )
    if start is not None:
        return parse_time(start, "--start") + round(hours * HOUR_MS)
    if end is not None:
        return parse_time(end, "--end")
    return int(time.time()) // 60 * MINUTE_MS


def requested_incidents(are_wanted: bool, texts: list[str] | None) -> tuple[IncidentRequest, ...]:
    """None, those asked for, or one of each kind."""
    if not are_wanted:
        return ()
    if texts:
        return tuple(parse_incident(text) for text in texts)
    return tuple(IncidentRequest(kind) for kind in INCIDENT_KINDS)


def play(
    config: SimulationConfig,
    *,
    out: Path | None = None,
    topic: str = "agent_events",
    rate: float | None = None,
    truth_path: Path | None = None,
    console: Console | None = None,
    settings: Settings | None = None,
) -> Truth:
    """Runs the simulation into `out`, or into Kafka's `topic` where it is None; returns the truth about it.

    `settings` None: those of the environment.
    """
    if rate is not None and rate <= 0:
        raise SettingsError(f"--rate expects more than 0 messages a second, came {rate:g}.")
    console = console or Console(stderr=True, highlight=False, soft_wrap=True)
    simulation = Simulation(config)
    _announce(console, simulation)
    pacer = Pacer(rate)
    started_at = time.monotonic()
    if out is not None:
        with FileSink(out) as sink:
            _pump(simulation, sink, pacer, console)
        where = str(out)
    else:
        settings = settings or load_settings()
        full_topic = settings.topic(topic)
        with KafkaSink(settings, full_topic) as sink:
            _pump(simulation, sink, pacer, console)
        where = f"topic {full_topic} at {settings.bootstrap}"
    truth = simulation.truth
    if truth_path is not None:
        _write_truth(truth, truth_path)
    _conclude(console, truth, where, time.monotonic() - started_at)
    return truth


def _pump(simulation: Simulation, sink: Sink, pacer: Pacer, console: Console) -> None:
    columns = (TextColumn("simulating"), BarColumn(), MofNCompleteColumn(), TextColumn("events"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=simulation.config.events)
        for chunk in simulation.chunks():
            for part in chunk.split(pacer.step):
                pacer.wait_for(len(part))
                sink.write(part)
                progress.update(task, completed=simulation.truth.events)


def _announce(console: Console, simulation: Simulation) -> None:
    config = simulation.config
    start, end = time_text(config.start_ms), time_text(config.end_ms)
    console.print(
        f"{config.events:,} events of {config.workspaces} workspaces from {start} to {end}, "
        f"seed {config.seed} (the same again: --seed {config.seed} --end {end} --hours {config.hours:g})"
    )
    console.print(f"prices change at {time_text(simulation.world.price_change_ms)}")
    for incident in simulation.incidents:
        console.print(f"incident: {escape(incident.sentence())}")


def _conclude(console: Console, truth: Truth, where: str, took_s: float) -> None:
    counts = truth.counts
    console.print(
        f"{truth.messages:,} messages to {escape(where)} in {took_s:.1f} s ({truth.messages / took_s:,.0f}/s): "
        f"{counts['valid']:,} events, {counts['duplicate']:,} duplicates, {counts['correction']:,} corrections, "
        f"{counts['malformed']:,} malformed"
    )


def _write_truth(truth: Truth, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(truth.as_object()), indent=1) + b"\n")
    except OSError as error:
        raise MeterhouseError(
            f"Cannot write {path}: {error.strerror or error}. Free the disk or name another --truth."
        ) from None
