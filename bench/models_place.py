"""One engine with one history of the models' benches: opened, built, and what a build of it used.

In: a folder. Out: a Place, and a Build of each dbt process. Whoever opens a place closes its client, stops its engine.
"""

import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clickhouse_connect.driver.client import Client

from bench import stand
from bench.models_report import Build
from bench.usage import cpu_seconds, machine_seconds, peak_rss_mb
from ingest.building import dbt
from ingest.settings import Settings, load_settings
from tests.support.servers import Server, free_port

# A build looks back at what landed shortly before the last one, for inserts that become visible late. Here rounds
# follow one another at once and nothing is being inserted meanwhile: five minutes' worth is to be five minutes' worth.
FLAGS: Final = ("--quiet", "--vars", '{"visibility_lag_s": 0}')
_MERGED_WITHIN_S: Final = 120.0

# By model, from the comment that dbt puts before its statements.
_STATEMENTS: Final = (
    'select extract(query, \'"node_id": "[a-z]+[.][a-z_]+[.]([a-z0-9_]+)"\') as model, '
    "max(memory_usage), sum(read_rows) "
    "from system.query_log where type = 'QueryFinish' and event_time_microseconds >= {since:DateTime64(6)} "
    "and model != '' group by model"
)


@dataclass(frozen=True, slots=True)
class Place:
    """One engine with one history."""

    engine: Server
    client: Client
    settings: Settings


def open_place(folder: Path) -> Place:
    """An engine of its own with empty raw tables."""
    port = free_port()
    engine = stand.start_engine(folder / "engine", port)
    client = stand.open_client(port, request_timeout_s=600)
    stand.make_tables(client, "")
    # Whatever METERHOUSE_* says of somebody's own house, this one is new and empty.
    settings = load_settings(
        home=folder / "home",
        clickhouse_url=f"http://default@127.0.0.1:{port}",
        database_prefix="",
        models_prefix="",
        topic_prefix="",
        agent_event_topics="agent_events",
        dbt_target="embedded",
    )
    return Place(engine, client, settings)


def build(place: Place, arguments: Sequence[str], *, others: Sequence[Place] = (), landed: int = 0) -> Build:
    """One dbt process and what it used. A node that fails ends the bench with its words."""
    _forget_peak(place.engine.pid)
    since = place.client.query("select now64(6)").result_rows[0][0]
    before, engine_before, dbt_before = busy(others), cpu_seconds(place.engine.pid), _children_s()
    began = time.monotonic()
    report = dbt.run(place.settings, arguments)
    seconds = time.monotonic() - began
    if report.bad:
        raise RuntimeError(f"expected every node of dbt {arguments[0]} to be built: {report.bad[0]}")
    node_s = {node.name: node.execution_time for node in report.nodes if node.unique_id.startswith("model.")}
    share_of_others = others_share(before, busy(others))
    engine_s, dbt_s = cpu_seconds(place.engine.pid) - engine_before, _children_s() - dbt_before
    peak_mb = peak_rss_mb(place.engine.pid)
    place.client.command("system flush logs")
    statements = place.client.query(_STATEMENTS, parameters={"since": since}).result_rows
    largest = max(statements, key=lambda row: int(row[1]), default=("", 0, 0))
    return Build(
        landed,
        seconds,
        report.seconds,
        engine_s,
        dbt_s,
        share_of_others,
        peak_mb,
        str(largest[0]),
        int(largest[1]) / 1e6,
        node_s,
        {str(row[0]): int(row[2]) for row in statements},
    )


def settle(client: Client) -> None:
    """Waits until the engine merges nothing; on an engine that never rests, not for ever."""
    deadline = time.monotonic() + _MERGED_WITHIN_S
    while client.query("select count() from system.merges").result_rows[0][0] and time.monotonic() < deadline:
        time.sleep(0.2)


def _forget_peak(pid: int) -> None:
    """Resident memory's high-water mark begins anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


def _children_s() -> float:
    """CPU of this process's children that have ended: dbt's, not the engines'."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def busy(places: Sequence[Place]) -> tuple[float, float, float]:
    """CPU seconds so far: ours (engines, dbt, this process), the machine's, and what it could have given."""
    own = sum(cpu_seconds(place.engine.pid) for place in places) + _children_s() + time.process_time()
    return (own, *machine_seconds())


def others_share(before: tuple[float, float, float], after: tuple[float, float, float]) -> float:
    own, busy, could = (now - then for now, then in zip(after, before, strict=True))
    return max(0.0, busy - own) / max(could, 0.01)
