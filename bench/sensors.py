"""What a tick of each sensor costs over a warehouse that has been in use for long: `python -m bench.sensors`.

Raw events, an alert's log of a busy year and the builds of 400 days are written by the engine itself, then each sensor
ticks as Dagster calls it. Seconds are those of processors, of this process and of the engine, since a crowded machine
changes the wall's and not these. Twice, with a hundredth of the events first: what grows with them is a defect.
"""

import argparse
import logging
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final

import structlog
from clickhouse_connect.driver.client import Client
from dagster import DagsterInstance, RepositoryDefinition, SensorDefinition, build_sensor_context
from rich.console import Console
from rich.table import Table

from bench import stand
from bench.usage import cpu_seconds
from ingest.settings import Settings, load_settings
from orchestration.lib.families import Family, family_of
from tests.orchestration.alerts_support import NOON, House, minutes, signal
from tests.support.servers import free_port

EVENTS: Final = 10_000_000
MOST_S: Final = 1.0
TICKS: Final = 5
_AT: Final = f"toDateTime64('{NOON:%Y-%m-%d %H:%M:%S}', 3, 'UTC')"
_EVENTS_AT_ONCE: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Ticks:
    """Medians over a few ticks of one sensor, in seconds; `said` is what the last one said."""

    sensor: str
    cpu_s: float
    engine_cpu_s: float
    wall_s: float
    said: str


@dataclass(frozen=True, slots=True)
class Measured:
    """One warehouse of so many events in raw."""

    events: int
    ticks: Mapping[str, Ticks]

    @property
    def is_fast(self) -> bool:
        return all(one.cpu_s <= MOST_S for one in self.ticks.values())


def repository() -> RepositoryDefinition:
    """Everything defined. Definitions load where METERHOUSE_ENVIRONMENT is set."""
    from orchestration.definitions import definitions

    return definitions.get_repository_def()


def fill(house: House) -> None:
    """What is there whatever the number of events: 30 days of evaluations, 400 of builds, a year's alerts, all told.

    Three alerts hold, so that the first tick has messages to compose, with their largest contributors.
    """
    house.shows(*(signal(workspace_id=f"w{number}") for number in range(3)), complete_to=NOON)
    write = house.client.command
    marts, ops = house.table("marts"), house.table("ops")
    write(
        f"insert into {marts}.alert_evaluations (rule_id, evaluated_at, as_of) "
        f"select concat('r', toString(number % 17)), evaluated_at - toIntervalSecond(intDiv(number, 17) * 60), as_of "
        f"from numbers(17 * 1440 * 30) as many cross join (select * from {marts}.alert_evaluations limit 1) as one"
    )
    write(
        f"create table if not exists {ops}.model_builds (model LowCardinality(String), "
        "change_log LowCardinality(String), built_to UInt64, mode LowCardinality(String), buckets UInt32, "
        "fingerprint String, invocation_id String, started_at DateTime64(3, 'UTC'), built_at DateTime64(3, 'UTC')) "
        "engine = MergeTree order by (model, change_log, built_at)"
    )
    from orchestration.defs.dbt.assets import PROJECT

    every_minute = [node for node in PROJECT.nodes.values() if family_of(node) is Family.FAST and node.is_bucketed]
    names = ", ".join(f"'{node.name}'" for node in every_minute)
    write(
        f"insert into {ops}.model_builds (model, change_log, started_at, built_at) "
        f"select arrayJoin([{names}]), 'int_changed_hours', {_AT} - toIntervalMinute(number), {_AT} - "
        "toIntervalMinute(number) from numbers(1440 * 400)"
    )
    write(
        f"insert into {ops}.alert_log (rule_id, workspace_id, step, at, dedup_key, state, severity, message_id, "
        "message_kind) select concat('r', toString(number % 17)), concat('w', toString(intDiv(number, 17) % 50)), "
        f"intDiv(number, 850) + 1, {_AT} - interval 1 hour, toString(number), 'resolved', 'page', "
        "toString(number), 'resolved' from numbers(400000)"
    )
    write(
        f"insert into {ops}.alert_messages (message_id, rule_id, workspace_id, step, thread, kind, at, body, channels) "
        f"select toString(number), 'r', 'w', 1, 't', 'firing', {_AT} - interval 1 day, repeat('x', 2000), ['a', 'b'] "
        "from numbers(50000)"
    )
    write(
        f"insert into {ops}.alert_deliveries (message_id, channel, attempt, outcome, at) "
        "select toString(intDiv(number, 4)), ['a', 'b'][number % 2 + 1], 1, "
        f"['claimed', 'delivered'][intDiv(number, 2) % 2 + 1], {_AT} - interval 1 day from numbers(200000)"
    )


def land(house: House, first: int, events: int) -> None:
    """Events in raw, their batches and minutes in marts, and how far they are in: a quarter of a minute's work each."""
    write = house.client.command
    raw, ops, marts = house.table("raw"), house.table("ops"), house.table("marts")
    for begin in range(first, events, _EVENTS_AT_ONCE):
        many = f"numbers({begin}, {min(_EVENTS_AT_ONCE, events - begin)})"
        write(
            f"insert into {raw}.agent_events (event_id, event_type, occurred_at, workspace_id, agent, provider, model, "
            "status, latency_ms, input_tokens, run_id, _topic, _offset, _loaded_at) select generateUUIDv4(), "
            f"'llm_call', {_AT} - toIntervalMillisecond(number * 700), concat('w', toString(number % 20)), 'a', "
            "'openai', 'm', 'ok', "
            f"number % 3000, number % 9000, toString(intDiv(number, 14)), 'agent_events', number, {_AT} from {many}"
        )
        write(
            f"insert into {marts}.agent_metrics_1m (minute, workspace_id, agent, model, calls, ok_calls, errors) "
            f"select {_AT} - toIntervalSecond(number * 3), concat('w', toString(number % 20)), 'a', 'm', 4, 3, 1 "
            f"from {many} where number % 4 = 0"
        )
        write(
            f"insert into {ops}.load_batches (topic, topic_id, partition, first_offset, last_offset, messages, landed, "
            "judged_at, landed_at) select 'agent_events', 'x', 0, number, number + 999, 1000, 1000, "
            f"{_AT}, {_AT} from {many} where number % 1000 = 0"
        )
    write(
        f"insert into {ops}.load_progress (topic, topic_id, partition, partition_count, next_offset, high_watermark, "
        f"complete_to, reported_at, owner) values ('agent_events', 'x', 0, 1, {events}, {events}, "
        f"'{NOON:%Y-%m-%d %H:%M:%S}', now64(3), 'bench')"
    )


def measure_sensor(
    one: SensorDefinition,
    everything: RepositoryDefinition,
    settings: Settings,
    instance: DagsterInstance,
    engine_pid: int,
) -> Ticks:
    """A few ticks, one after the other, each half a minute later."""
    from orchestration.lib.resources import Clock, MeterhouseResource

    cursor, said, spent = None, "", []
    for number in range(TICKS + 1):
        with build_sensor_context(
            cursor=cursor,
            instance=instance,
            repository_def=everything,
            resources={
                "meterhouse": MeterhouseResource.of(settings),
                "clock": Clock(at=minutes(number / 2).isoformat()),
            },
        ) as context:
            own_s, engine_s, began = time.process_time(), cpu_seconds(engine_pid), time.monotonic()
            tick = one.evaluate_tick(context)
            wall_s = time.monotonic() - began
            engine_s = cpu_seconds(engine_pid) - engine_s
            spent.append((time.process_time() - own_s + engine_s, engine_s, wall_s))
            cursor, said = tick.cursor, tick.skip_message or f"{len(tick.run_requests or [])} runs asked for"
    # The first reads modules and opens files.
    cpu_s, engine_cpu_s, wall_s = (median(figures) for figures in zip(*spent[1:], strict=True))
    return Ticks(one.name, cpu_s, engine_cpu_s, wall_s, said)


def measure(folder: Path, console: Console, events: int = EVENTS) -> list[Measured]:
    """A hundredth of the events, then all; the engine is started and stopped here."""
    os.environ.setdefault("METERHOUSE_ENVIRONMENT", "dev")
    logging.getLogger("dagster").setLevel(logging.WARNING)
    port = free_port()
    engine = stand.start_engine(folder / "engine", port)
    try:
        client: Client = stand.open_client(port, request_timeout_s=600)
        settings = load_settings(
            home=folder / "home", clickhouse_url=f"http://default@127.0.0.1:{port}", database_prefix="ticks_",
            environment="dev",
        )  # fmt: skip
        house = House.built(client, settings)
        fill(house)
        found, landed = [], 0
        with tempfile.TemporaryDirectory(dir=folder) as home, DagsterInstance.local_temp(home) as instance:
            for size in (events // 100, events):
                land(house, landed, size)
                landed = size
                everything = repository()
                every = sorted(everything.sensor_defs, key=lambda one: one.name)
                ticks = [measure_sensor(one, everything, settings, instance, engine.pid) for one in every]
                found.append(Measured(size, {one.sensor: one for one in ticks}))
                console.print(f"sensors: ticks over {size:,} events measured at {datetime.now(UTC):%H:%M:%S}")
        client.close()
        return found
    finally:
        engine.stop()


def show(found: list[Measured], console: Console) -> None:
    """CPU seconds of a tick over few events and over many, the engine's part, and the wall's."""
    few, many = found
    table = Table("sensor", f"{few.events:,} events", f"{many.events:,} events", "of it the engine", "wall here",
                  title="a tick of each sensor, CPU seconds", title_justify="left")  # fmt: skip
    for name, one in many.ticks.items():
        before = few.ticks[name]
        table.add_row(name, f"{before.cpu_s:.3f}", f"{one.cpu_s:.3f}", f"{one.engine_cpu_s:.3f}", f"{one.wall_s:.3f}")
    console.print(table)
    console.print(f"each is {'within' if many.is_fast else 'NOT within'} {MOST_S:g} s")


def main() -> int:
    """The sensors alone."""
    parser = argparse.ArgumentParser(prog="python -m bench.sensors", description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS, help="events in raw")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    console = Console(highlight=False, soft_wrap=True)
    with tempfile.TemporaryDirectory(prefix="meterhouse-bench-") as made:
        found = measure(Path(made), console, given.events)
    show(found, console)
    return 0 if found[-1].is_fast else 1


if __name__ == "__main__":
    sys.exit(main())
