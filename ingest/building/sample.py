"""A small house for trying a model: an engine with a simulated day in it, kept under <home>/sample between tries.

In: settings and a model's name. Out: the model, everything it needs and its tests, built on the sample. The first try
makes the sample (half a minute); later ones take seconds. Parts started here are stopped here.
"""

import time
from collections.abc import Callable
from typing import Final

from ingest.building.dbt import BuildReport, run
from ingest.demo.ground import free_ports
from ingest.embedded.stack import Stack
from ingest.errors import MeterhouseError
from ingest.loader.service import run_loader
from ingest.settings import Settings, load_settings
from ingest.simulate import SimulationConfig, play

EVENTS: Final = 5_000
HOURS: Final = 26.0
SEED: Final = 5
_MARKER: Final = "sample-is-loaded"
Say = Callable[[str], None]


def try_model(given: Settings, name: str, say: Say) -> BuildReport:
    """Builds `name` with its unit and data tests on the sample; on a sample just made, what it is built from first."""
    ports = free_ports(2)
    settings = load_settings(
        home=given.home / "sample",
        embedded_clickhouse_port=ports[0],
        embedded_kafka_port=ports[1],
        metrics_port=0,
    )
    marker = settings.home / _MARKER
    # A try that was killed left its parts running on ports of its own.
    Stack(settings).down()
    with Stack(settings, say=say):
        if not marker.exists():
            say(f"making the sample: {EVENTS:,} events, once")
            play.play(
                SimulationConfig(end_ms=_last_hour_ms(), events=EVENTS, hours=HOURS, seed=SEED), settings=settings
            )
            run_loader(settings, drain=True)
            _expect_good(run(settings, ["seed"]), name)
            marker.write_text("`meterhouse try-mart` may remove this folder.\n")
        # What did not change since the last try has nothing to do, so this is seconds.
        _expect_good(run(settings, ["run", "--select", f"+{name}", "--exclude", name]), name)
        return run(settings, ["build", "--select", name, "--indirect-selection", "buildable"], say=say)


def _expect_good(report: BuildReport, name: str) -> None:
    if report.bad:
        raise MeterhouseError(f"{report.bad[0].name}, which {name} needs, does not build: {report.bad[0].message}")


def _last_hour_ms() -> int:
    return int(time.time()) // 3600 * 3_600_000
