"""dbt killed in the middle of increments: who reads meanwhile sees each bucket whole, as of some landing.

Where it is killed is drawn, with KILL_SEED as seed: after so many of its models began, and a moment later.
"""

import os
import random
import signal
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from clickhouse_connect.driver.client import Client

from ingest.warehouse import connect
from tests.support.models import Event, Models

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SELECT = ("-s", "+llm_hourly", "+slo_5m")
KILLS = 2
# Of each hour at first, and how many more each landing brings to the one that is touched.
CALLS, MORE = 2000, 100
UNTOUCHED, TOUCHED = NOW - timedelta(hours=5), NOW - timedelta(hours=3)
Seen = set[tuple[int, ...]]


def _calls(hour: datetime, numbers: range) -> list[Event]:
    return [
        {
            "event_id": str(uuid.UUID(int=hour.hour << 32 | number)), "event_type": "llm_call",
            "occurred_at": (hour + timedelta(seconds=number % 3600)).strftime("%Y-%m-%d %H:%M:%S.000"),
            "workspace_id": "acme", "agent": f"agent-{number % 50}", "run_id": f"r{number % 40}",
            "provider": "openai", "model": "gpt-4o", "input_tokens": 1000, "output_tokens": 10, "status": "ok",
            "latency_ms": number,
        }
        for number in numbers
    ]  # fmt: skip


def test_an_increment_that_is_killed_leaves_no_hole_and_no_double(models: Models) -> None:
    seed = int(os.environ.get("KILL_SEED", "11"))
    draw = random.Random(seed)
    models.land([*_calls(UNTOUCHED, range(CALLS)), *_calls(TOUCHED, range(CALLS))])
    nodes = len(models.build(*SELECT))

    with _watched(models) as seen:
        for number in range(KILLS):
            first = CALLS + number * MORE
            # With copies of what is there, which a bucket built twice, or half, would count.
            models.land(_calls(TOUCHED, range(first - 200, first + MORE)))
            _run_and_kill(models, after=draw.randint(nodes // 2, nodes), then_s=draw.uniform(0, 0.3))
        models.build(*SELECT)

    in_landings = {CALLS + number * MORE for number in range(KILLS + 1)}
    whole = {(CALLS, CALLS, CALLS)}
    assert seen[UNTOUCHED] == whole, f"KILL_SEED={seed}"
    for events, distinct, calls in seen[TOUCHED]:
        assert events == distinct, f"events twice, KILL_SEED={seed}"
        assert {events, calls} <= in_landings, f"part of a bucket: {events} and {calls}, KILL_SEED={seed}"
    assert len(seen[TOUCHED]) > 1, "nothing was seen to change: the readers did not read"

    tables = [name for name in _bucketed(models) if models.digest(name)[0]]
    assert "marts.llm_hourly" in tables
    grown = {name: models.digest(name) for name in tables}
    assert _left_over(models) == []
    models.build(*SELECT, "--full-refresh")
    assert {name: models.digest(name) for name in tables} == grown, f"KILL_SEED={seed}"


def _run_and_kill(models: Models, after: int, then_s: float) -> None:
    """Ends the process when so many models have begun, and a moment has passed."""
    with models.start(*SELECT) as process:
        assert process.stdout is not None
        begun = 0
        words = []
        for line in process.stdout:
            words.append(line)
            begun += " START " in line
            if begun == after:
                break
        assert begun == after, f"dbt ended before model {after} began: {''.join(words)[-2000:]}"
        try:
            process.wait(then_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def _watched(models: Models) -> Iterator[dict[datetime, Seen]]:
    """What readers saw of both hours meanwhile: (events, distinct events, calls of llm_hourly)."""
    seen: dict[datetime, Seen] = {UNTOUCHED: set(), TOUCHED: set()}
    failures: list[Exception] = []
    is_over = threading.Event()

    def read() -> None:
        client = connect(models.settings.clickhouse, connect_timeout_s=5, request_timeout_s=60)
        try:
            while not is_over.wait(0.02):
                for hour, values in seen.items():
                    values.add(_look(models, client, hour))
        except Exception as error:  # noqa: BLE001  # told by the test's own thread
            failures.append(error)
        finally:
            client.close()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield seen
    finally:
        is_over.set()
        reader.join()
    assert failures == []


def _look(models: Models, client: Client, hour: datetime) -> tuple[int, ...]:
    events, calls = models.settings.database("intermediate"), models.settings.database("marts")
    found = client.query(
        "select count(), uniqExact(event_id), "
        f"(select sum(calls) from {calls}.llm_hourly where hour = {{at:DateTime('UTC')}}) "
        f"from {events}.int_agent_events where occurred_hour = {{at:DateTime('UTC')}}",
        parameters={"at": hour},
    ).result_rows[0]
    return tuple(int(value) for value in found)


def _bucketed(models: Models) -> list[str]:
    assert models.manifest is not None
    chosen = [node for node in models.manifest.nodes.values() if node.config.materialized == "bucketed"]
    there = {name for schema in ("intermediate", "marts") for name in _tables(models, schema)}
    return sorted(name for node in chosen if (name := f"{node.config.schema}.{node.name}") in there)


def _left_over(models: Models) -> list[str]:
    """Tables that a build makes beside the one it replaces."""
    names = [name for schema in ("intermediate", "marts") for name in _tables(models, schema)]
    return [name for name in names if name.endswith(("__slice", "__dbt_tmp", "__next"))]


def _tables(models: Models, schema: str) -> list[str]:
    found = models.client.query(
        "select name from system.tables where database = {d:String}",
        parameters={"d": f"{models.settings.database_prefix}{schema}"},
    ).result_rows
    return [f"{schema}.{row[0]}" for row in found]
