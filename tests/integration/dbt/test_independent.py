"""The marts, recomputed from what the simulator sent, in polars and Python: no SQL, no loader, no warehouse.

One simulation goes through Kafka, the loader and dbt; the same simulation goes to a file. Counts and money are equal to
the last place, quantiles within 1 %. Prices come from the seed by ingest.prices.reference; canonical names are read
back from int_model_names, which has tests of its own.
"""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from clickhouse_connect.driver.client import Client

from ingest.building.dbt import Node, project_folder, run
from ingest.loader.service import run_loader
from ingest.prices.reference import Call, price
from ingest.prices.seed import load as load_prices
from ingest.schema.engines import Layout
from ingest.schema.migrate import migrate
from ingest.settings import Settings, load_settings
from ingest.simulate import SimulationConfig, play
from ingest.warehouse import connect
from tests.conftest import Broker, drop_databases, remove_topics
from tests.support.shared import Engine

EVENTS = 12_000
END_MS = int(datetime(2026, 11, 22, 9, tzinfo=UTC).timestamp() * 1000)
Names = dict[tuple[str, str], tuple[str, str, str, str]]
# float64 in both, summed or interpolated in another order.
ROUNDING = 1e-9


@dataclass
class House:
    """One simulation, through the house and beside it."""

    client: Client
    settings: Settings
    nodes: list[Node]
    sent: pl.DataFrame

    def mart(self, query: str) -> pl.DataFrame:
        found = self.client.query(query.replace("marts.", f"{self.settings.database('marts')}."))
        return pl.DataFrame(
            [dict(zip(found.column_names, row, strict=True)) for row in found.result_rows], infer_schema_length=None
        )


@pytest.fixture(scope="module")
def house(engine: Engine, broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    prefix, home = f"t{uuid.uuid4().hex[:10]}_", tmp_path_factory.mktemp("independent")
    settings = load_settings(
        home=home,
        clickhouse_url=engine.url,
        kafka_bootstrap=broker.bootstrap,
        kafka_options={"session.timeout.ms": "6000", "heartbeat.interval.ms": "1500"},
        database_prefix=prefix,
        topic_prefix=prefix,
        consumer_group=f"{prefix}loader",
        metrics_port=0,
    )
    config = SimulationConfig(
        end_ms=END_MS, events=EVENTS, seed=11, malformed_rate=0, extra_rate=0, duplicate_rate=0.02, correction_rate=0.01
    )
    play.play(config, out=home / "sent.ndjson")
    play.play(config, settings=settings)
    client = connect(settings.clickhouse, connect_timeout_s=5, request_timeout_s=60)
    migrate(client, Layout(prefix, "", settings.retention_days))
    run_loader(settings, drain=True)
    report = run(settings, ["build"])
    names: Names = {
        (row[0], row[1]): (row[2], row[3], row[4], row[5])
        for row in client.query(
            "select reported_provider, reported_model, provider, model, price_provider, price_model "
            f"from {settings.database('intermediate')}.int_model_names"
        ).result_rows
    }
    yield House(client, settings, list(report.nodes), _read(home / "sent.ndjson", names))
    client.close()
    remove_topics(settings)
    drop_databases(settings)


def _read(file: Path, names: Names) -> pl.DataFrame:
    """One row an event, the last copy sent; money as exact picodollars, since frames have no arithmetic of Decimals."""
    prices = [load_prices(project_folder() / "seeds" / "model_prices.csv")]
    last: dict[tuple[str, str], dict[str, Any]] = {}
    for line in file.read_text().splitlines():
        event = json.loads(line)
        key = (event["workspace_id"], event["event_id"].lower())
        last.pop(key, None)
        last[key] = event
    return pl.DataFrame([_row(event, names, prices) for event in last.values()], infer_schema_length=None)


def _row(event: dict[str, Any], names: Names, prices: list[Any]) -> dict[str, Any]:
    at = event["occurred_at"]
    moment = datetime.fromtimestamp(at / 1000, UTC) if isinstance(at, int) else datetime.fromisoformat(at)
    moment = moment.astimezone(UTC)
    spelled = (event.get("provider") or "", event.get("model") or "")
    provider, model, price_provider, price_model = names.get(spelled, (*spelled, *spelled))
    kind = event["event_type"]
    tokens: dict[str, int | None] = {
        name: event.get(name) for name in ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    }
    cost = None
    if kind == "llm_call":
        call = Call(
            at=moment, provider=price_provider, model=price_model,
            input_tokens=tokens["input_tokens"], output_tokens=tokens["output_tokens"],
            cache_read_tokens=tokens["cache_read_tokens"], cache_write_tokens=tokens["cache_write_tokens"],
            reported_usd=_money(event.get("cost_usd")),
            unit_input_usd=_money(event.get("unit_cost_input")),
            unit_output_usd=_money(event.get("unit_cost_output")),
        )  # fmt: skip
        cost = price(call, prices).usd
    return {
        "kind": kind,
        "workspace_id": event["workspace_id"],
        "day": moment.date(),
        "hour": moment.replace(minute=0, second=0, microsecond=0, tzinfo=None),
        "provider": provider,
        "model": model,
        "tool_name": event.get("tool_name") or "",
        "agent": event.get("agent") or "",
        "run_id": event.get("run_id") or "",
        "status": event.get("status") or "",
        "latency_ms": None if event.get("latency_ms") is None else float(event["latency_ms"]),
        "pico_usd": None if cost is None else int(cost.scaleb(12).to_integral_value()),
        **tokens,
    }


def _money(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value)).quantize(Decimal(1).scaleb(-12))


def _compare(
    expected: pl.DataFrame, found: pl.DataFrame, keys: list[str], exact: list[str], within: dict[str, float]
) -> None:
    """Every group is there once, and nothing else; `within` are relative bounds of quantiles."""
    assert found.select(keys).is_duplicated().sum() == 0
    both = expected.join(found, on=keys, how="full", suffix="_found", coalesce=True).sort(keys)
    for name in exact:
        wrong = both.filter(~pl.col(name).eq_missing(pl.col(f"{name}_found").cast(both.schema[name])))
        assert wrong.is_empty(), f"{name}\n{wrong.select(*keys, name, f'{name}_found')}"
    for name, bound in within.items():
        mine, theirs = pl.col(name), pl.col(f"{name}_found").cast(pl.Float64)
        close = ((mine - theirs).abs() <= bound * mine.abs() + ROUNDING) | (mine.is_null() & theirs.is_null())
        wrong = both.filter(~close.fill_null(value=False))
        assert wrong.is_empty(), f"{name}\n{wrong.select(*keys, name, f'{name}_found')}"


def _quantile(level: float) -> pl.Expr:
    return (
        pl.col("latency_ms")
        .drop_nulls()
        .quantile(level, interpolation="linear")
        .alias(f"p{round(level * 100)}_latency_ms")
    )


FAILED = pl.col("status").is_in(["error", "timeout"])


def test_dbt_build_is_green_over_a_simulation(house: House) -> None:
    assert [f"{node.name}: {node.message}" for node in house.nodes if node.is_bad] == []
    assert len(house.nodes) > 100


def test_dbt_docs_generate_knows_every_table_with_its_columns(house: House) -> None:
    report = run(house.settings, ["docs", "generate"])
    assert [node.name for node in report.bad] == []
    catalog = json.loads((house.settings.home / "dbt" / "target" / "catalog.json").read_text())
    assert catalog["errors"] is None
    built = {node.unique_id for node in house.nodes if node.unique_id.startswith(("model.", "seed."))}
    assert built <= catalog["nodes"].keys()
    assert [name for name, node in catalog["nodes"].items() if not node["columns"]] == []


def test_llm_daily_is_what_the_file_says(house: House) -> None:
    keys = ["day", "workspace_id", "provider", "model"]
    expected = (
        house.sent.filter(pl.col("kind") == "llm_call")
        .group_by(keys)
        .agg(
            pl.len().alias("calls"),
            FAILED.sum().alias("errors"),
            pl.col("input_tokens").sum(),
            pl.col("output_tokens").sum(),
            pl.col("cache_read_tokens").sum(),
            pl.col("pico_usd").is_not_null().sum().alias("priced_calls"),
            pl.col("pico_usd").sum(),
            *(_quantile(level) for level in (0.5, 0.95)),
        )
    )
    found = house.mart(
        f"select {', '.join(keys)}, calls, errors, input_tokens, output_tokens, cache_read_tokens, priced_calls, "
        "toInt64(coalesce(cost_usd, 0) * 1000000000000) as pico_usd, p50_latency_ms, p95_latency_ms "
        "from marts.llm_daily"
    )
    exact = ["calls", "errors", "input_tokens", "output_tokens", "cache_read_tokens", "priced_calls", "pico_usd"]
    _compare(expected, found, keys, exact, {"p50_latency_ms": 0.01, "p95_latency_ms": 0.01})


def test_tool_reliability_is_what_the_file_says(house: House) -> None:
    keys = ["hour", "workspace_id", "tool_name"]
    expected = (
        house.sent.filter(pl.col("kind") == "tool_call")
        .group_by(keys)
        .agg(
            pl.len().alias("calls"),
            (pl.col("status") == "ok").sum().alias("success"),
            (pl.col("status") == "error").sum().alias("failure"),
            (pl.col("status") == "timeout").sum().alias("timeout"),
            *(_quantile(level) for level in (0.5, 0.95)),
        )
    )
    found = house.mart(
        f"select {', '.join(keys)}, calls, success, failure, timeout, p50_latency_ms, p95_latency_ms "
        "from marts.tool_reliability"
    ).with_columns(pl.col("hour").dt.replace_time_zone(None))
    _compare(
        expected, found, keys, ["calls", "success", "failure", "timeout"], {"p50_latency_ms": 0, "p95_latency_ms": 0}
    )


def test_agent_health_daily_is_what_the_file_says(house: House) -> None:
    runs: dict[tuple[str, str], dict[str, Any]] = {}
    for event in house.sent.filter(pl.col("run_id") != "").iter_rows(named=True):
        one = runs.setdefault(
            (event["workspace_id"], event["run_id"]), {"agent": event["agent"], "calls": 0, "pico": 0}
        )
        one["calls"] += event["kind"] == "llm_call"
        one["pico"] += (event["pico_usd"] or 0) if event["kind"] == "llm_call" else 0
        if event["kind"] == "agent_run_started":
            one["day"] = event["day"]
        if event["kind"] == "agent_run_finished":
            one["status"] = event["status"]
    # Runs whose start never came belong to their first event's day; the simulator always sends the start.
    assert all("day" in one for one in runs.values())
    rows = [{"workspace_id": workspace, "run_id": run, "status": "", **one} for (workspace, run), one in runs.items()]
    keys = ["day", "workspace_id", "agent"]
    expected = (
        pl.DataFrame(rows)
        .group_by(keys)
        .agg(
            pl.len().alias("runs"),
            (pl.col("status") == "ok").sum().alias("ok_runs"),
            FAILED.sum().alias("failed_runs"),
            pl.col("calls").sum().alias("llm_calls"),
        )
    )
    found = house.mart(f"select {', '.join(keys)}, runs, ok_runs, failed_runs, llm_calls from marts.agent_health_daily")
    _compare(expected, found, keys, ["runs", "ok_runs", "failed_runs", "llm_calls"], {})


def test_a_quantile_here_is_the_one_that_numpy_makes(house: House) -> None:
    """polars' interpolation is the definition the marts are held to: the one of quantileExactInclusive."""
    values = house.sent["latency_ms"].drop_nulls()[:101]
    assert values.quantile(0.95, interpolation="linear") == pytest.approx(float(np.quantile(values.to_numpy(), 0.95)))
