"""Runs a demo: clears its ground, starts the stack, takes the steps, shows what they found, stops what it started.

In: the user's settings, number of events, seed, the steps in order. A check that is not met, or a step that cannot go
on, raises MeterhouseError; the stack is stopped and the data kept in every case.
"""

import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType

from rich.console import Console
from rich.markup import escape

from ingest.demo import summary
from ingest.demo.ground import clear_ground, demo_settings
from ingest.demo.steps import Demo, Step
from ingest.embedded.report import collect
from ingest.embedded.stack import TOPICS, Stack
from ingest.errors import MeterhouseError
from ingest.kafka import KafkaAdmin
from ingest.settings import Settings

# The embedded broker keeps all messages in memory, about this much each.
BYTES_A_MESSAGE = 750
SAY_MEMORY_ABOVE = 1 << 30


def run_demo(given: Settings, *, events: int, seed: int, console: Console, steps: Sequence[Step]) -> None:
    """Everything, from an empty folder to the verdict."""
    settings = demo_settings(given)
    demo = Demo(settings, console, events, seed, end_ms=int(time.time() * 1000))

    def say(line: str) -> None:
        console.print(line, style="dim", markup=False)

    if settings.is_kafka_embedded and events * BYTES_A_MESSAGE > SAY_MEMORY_ABOVE:
        say(f"the embedded broker will hold about {events * BYTES_A_MESSAGE / (1 << 30):.1f} GiB in memory")
    _end_like_ctrl_c()
    clear_ground(settings, say)
    with Stack(settings, say=say):
        try:
            _expect_empty(settings)
            for step in steps:
                console.rule(f"[bold]{escape(step.name)}[/]", align="left")
                step.run(demo)
            console.rule("[bold]summary[/]", align="left")
            console.print(*demo.sections, summary.verdict(demo.checks), sep="\n")
        finally:
            _remove_topics(settings)
    _conclude(demo, given)


def _expect_empty(settings: Settings) -> None:
    """A name that the user gave may be one in use."""
    names = (f"{settings.database('raw')}.agent_events", f"{settings.database('ops')}.load_batches")
    used = [one for one in collect(settings).tables if one.rows and one.table in names]
    if used:
        raise MeterhouseError(
            f"{used[0].table} on {settings.clickhouse.public} has {used[0].rows:,} rows, and the demo starts from "
            "empty tables: unset METERHOUSE_DATABASE_PREFIX, or set one that is not in use."
        )


def _remove_topics(settings: Settings) -> None:
    """From a broker of the user's; the embedded one forgets them anyway."""
    if settings.is_kafka_embedded or not settings.topic_prefix.startswith("demo_"):
        return
    with KafkaAdmin(settings.bootstrap, settings.kafka_options) as admin:
        admin.delete_topics(settings.topic(name) for name in TOPICS)


def _conclude(demo: Demo, given: Settings) -> None:
    """Where the data is and what to run next; raises where a check is not met."""
    settings, console = demo.settings, demo.console
    if settings.is_clickhouse_embedded:
        where = f"The data is in {settings.home}/clickhouse, the simulator's truth in {settings.home}/truth.json."
        # `up` takes the ports that the user's own settings say.
        variables, address = f"METERHOUSE_HOME={settings.home}", given.clickhouse.public.replace("default@", "")
    else:
        where = f"The data is in the databases {settings.database_prefix}* of {settings.clickhouse.public}."
        variables, address = f"METERHOUSE_DATABASE_PREFIX={settings.database_prefix}", settings.clickhouse.public
    command = sys.argv[0] if sys.argv[0].endswith("/meterhouse") and sys.argv[0].startswith(".") else "meterhouse"
    query = f"select event_type, count() from {settings.database('raw')}.agent_events group by 1 format Pretty"  # noqa: S608  # only shown
    console.print(f"\n{where} Next:", markup=False)
    for line in (
        f"{variables} {command} up      # start the stack on that data",
        f"curl {address} --data-binary '{query}'",
        f"{variables} {command} status  # parts, tables, lag",
        f"{variables} {command} down    # stop it",
        *demo.next_steps,
    ):
        console.print(f"  {line}", markup=False)
    unmet = [check for check in demo.checks if not check.is_met]
    if unmet:
        raise MeterhouseError(
            f"{len(unmet)} of the demo's {len(demo.checks)} checks are not met, first: {unmet[0].claim} (expected "
            f"{unmet[0].expected}, found {unmet[0].found}). Logs are in {settings.home}/logs; please report it."
        )


def _end_like_ctrl_c() -> None:
    """SIGTERM unwinds as Ctrl-C does, so that engine and broker, which outlive a terminal, are stopped."""

    def leave(_signal: int, _frame: FrameType | None) -> None:
        sys.exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, leave)
