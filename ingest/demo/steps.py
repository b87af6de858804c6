"""What a demo is made of, and the steps of this room: simulate before anything has landed, look when it has.

Whoever runs a demo puts between them what lands and builds. A Step is a name and a function of the Demo. It may add to
`checks` (any that is not met fails the demo), to `sections` (shown at the end) and to `next_steps`; it raises
MeterhouseError where it cannot go on. Engine, broker, tables and topics stand when the first one runs, and stay until
the last has ended.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from rich.console import Console, RenderableType

from ingest.demo import summary
from ingest.demo.agent import Counted
from ingest.demo.checks import Check, Produced, compare, read_landed
from ingest.embedded.report import collect
from ingest.errors import MeterhouseError
from ingest.settings import Settings
from ingest.simulate import SimulationConfig, play
from ingest.simulate.config import MINUTE_MS
from ingest.warehouse import connect

TOPIC = "agent_events"


@dataclass
class Demo:
    """One demo: what was asked for, and what the steps found so far; `landed_in_s` is the seconds that landing took.

    `live`: what the real agent counted, where there is one.
    """

    settings: Settings
    console: Console
    events: int
    seed: int
    end_ms: int
    produced: Produced | None = None
    live: Counted | None = None
    landed_in_s: float = 0.0
    checks: list[Check] = field(default_factory=list)
    sections: list[RenderableType] = field(default_factory=list)
    next_steps: list[str] = field(default_factory=list)


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
        landed = read_landed(client, settings, settings.topic(TOPIC))
    finally:
        client.close()
    status = collect(settings)
    if status.problems:
        raise MeterhouseError(f"The demo could not look at what it loaded: {status.problems[0]}")
    demo.checks += compare(demo.produced, landed, status, settings.topic(TOPIC))
    demo.sections += [
        summary.flow(demo.produced, landed, demo.landed_in_s, status, settings.topic(TOPIC)),
        summary.costs(landed),
        summary.tables(status),
    ]
