"""The demo's first steps, in order: simulate, load, look. The rooms behind add theirs in ingest/demo/run.py.

A Step is a name and a function of the Demo. It may add to `checks` (any that is not met fails the demo), to `sections`
(shown at the end) and to `next_steps`; it raises MeterhouseError where it cannot go on. Engine, broker, tables and
topics stand when the first one runs, and stay until the last has ended.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ingest.demo import summary
from ingest.demo.checks import Check, Produced, compare, read_landed
from ingest.embedded.report import collect
from ingest.errors import MeterhouseError
from ingest.loader.service import LoadProgress, LoadReport, run_loader
from ingest.settings import Settings
from ingest.simulate import SimulationConfig, play
from ingest.simulate.config import MINUTE_MS
from ingest.warehouse import connect

TOPIC = "agent_events"


@dataclass
class Demo:
    """One demo: what was asked for, and what the steps found so far."""

    settings: Settings
    console: Console
    events: int
    seed: int
    end_ms: int
    produced: Produced | None = None
    load: LoadReport | None = None
    checks: list[Check] = field(default_factory=list)
    sections: list[RenderableType] = field(default_factory=list)
    next_steps: list[str] = field(default_factory=list)

    @property
    def loaded_a_second(self) -> float:
        """Messages a second of the load; 0 before it."""
        return 0.0 if self.load is None else self.load.messages / max(self.load.seconds, 1e-9)


@dataclass(frozen=True)
class Step:
    """`name` is shown above what the step prints."""

    name: str
    run: Callable[[Demo], None]


def simulate(demo: Demo) -> None:
    """A day and a half of several workspaces' agents, into Kafka."""
    config = SimulationConfig(end_ms=demo.end_ms // MINUTE_MS * MINUTE_MS, events=demo.events, seed=demo.seed)
    truth = play.play(
        config,
        topic=TOPIC,
        truth_path=demo.settings.home / "truth.json",
        console=demo.console,
        settings=demo.settings,
    )
    demo.produced = Produced.from_truth(truth.as_object())


def load(demo: Demo) -> None:
    """Everything the topic holds, into ClickHouse."""
    assert demo.produced is not None
    columns = (TextColumn("loading"), BarColumn(), MofNCompleteColumn(), TextColumn("messages"), TimeRemainingColumn())
    with Progress(*columns, console=demo.console, transient=True) as bar:
        task = bar.add_task("", total=demo.produced.messages)

        def show(progress: LoadProgress) -> None:
            bar.update(task, completed=progress.landed + progress.rejected)

        stopping = threading.Event()  # set by Ctrl-C and SIGTERM while it loads
        report = run_loader(demo.settings, drain=True, on_progress=show, stopping=stopping)
    if stopping.is_set():
        raise MeterhouseError(f"The demo was stopped after {report.messages:,} of {demo.produced.messages:,} messages.")
    demo.load = report
    demo.console.print(
        f"{report.messages:,} messages in {report.seconds:.1f} s ({demo.loaded_a_second:,.0f}/s): "
        f"{report.landed:,} landed, {report.rejected:,} to the dead letters"
    )


def look(demo: Demo) -> None:
    """Reads the tables back and holds them against what was produced."""
    assert demo.produced is not None
    settings = demo.settings
    client = connect(
        settings.clickhouse,
        connect_timeout_s=settings.clickhouse_connect_timeout_s,
        request_timeout_s=settings.clickhouse_request_timeout_s,
    )
    try:
        landed = read_landed(client, settings)
    finally:
        client.close()
    status = collect(settings)
    if status.problems:
        raise MeterhouseError(f"The demo could not look at what it loaded: {status.problems[0]}")
    demo.checks += compare(demo.produced, landed, status, settings.topic(TOPIC))
    demo.sections += [
        summary.flow(demo.produced, landed, demo.loaded_a_second, status, settings.topic(TOPIC)),
        summary.costs(landed),
        summary.tables(status),
    ]


LANDING = (Step("simulate", simulate), Step("load", load), Step("look", look))
