"""What a refresh of prices says, and which of the past it marks for a restatement."""

import csv
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from dagster import DagsterInstance, ExecuteInProcessResult, materialize

from ingest.building.dbt import project_folder
from ingest.settings import Settings, load_settings
from ingest.warehouse import connect
from orchestration.defs import prices
from orchestration.defs.prices import CHECK, model_prices
from orchestration.lib.price_changes import pending
from orchestration.lib.resources import Clock, MeterhouseResource
from tests.conftest import drop_databases
from tests.support.shared import Engine

SEEDS = project_folder() / "seeds"


@dataclass
class Warehouse:
    """The tables a restatement is judged by, filled from the seed as dbt would fill them."""

    settings: Settings
    client: Client
    intermediate: str

    def called(self, provider: str, model: str, hours: int) -> None:
        self.client.command(
            f"insert into {self.intermediate}.int_model_names values ('{provider}', '{model}', '{provider}', '{model}')"
        )
        self.client.command(
            f"insert into {self.intermediate}.int_model_hours select 'acme', toDateTime('2026-11-20', 'UTC') + "
            f"3600 * number, '{provider}', '{model}' from numbers({hours})"
        )


@pytest.fixture
def warehouse(engine: Engine, tmp_path: Path) -> Iterator[Warehouse]:
    settings = load_settings(home=tmp_path, clickhouse_url=engine.url, database_prefix=f"t{uuid.uuid4().hex[:10]}_")
    client = connect(settings.clickhouse, connect_timeout_s=5, request_timeout_s=60)
    intermediate = settings.database("intermediate")
    client.command(f"create database {intermediate}")
    keep = "engine = MergeTree order by tuple()"
    columns = "provider String, model String, price_version String"
    client.command(f"create table {intermediate}.model_prices ({columns}) {keep}")
    client.command(
        f"create table {intermediate}.int_model_names (reported_provider String, reported_model String, "
        f"price_provider String, price_model String) {keep}"
    )
    client.command(
        f"create table {intermediate}.int_model_hours (workspace_id String, occurred_hour DateTime('UTC'), "
        f"reported_provider String, reported_model String) {keep}"
    )
    with (SEEDS / "model_prices.csv").open(encoding="utf-8", newline="") as file:
        rows = [[row["provider"], row["model"], row["price_version"]] for row in csv.DictReader(file)]
    client.insert(f"{intermediate}.model_prices", rows, column_names=["provider", "model", "price_version"])
    yield Warehouse(settings, client, intermediate)
    drop_databases(settings)
    client.close()


def refresh(settings: Settings, *, dry_run: bool = False) -> ExecuteInProcessResult:
    return materialize(
        [model_prices],
        instance=DagsterInstance.ephemeral(),
        resources={"meterhouse": MeterhouseResource.of(settings), "clock": Clock()},
        run_config={"ops": {"model_prices": {"config": {"dry_run": dry_run}}}},
        raise_on_error=True,
    )


def test_prices_that_are_built_leave_nothing_to_restate(warehouse: Warehouse) -> None:
    warehouse.called("openai", "gpt-4o", hours=3)
    due = pending(warehouse.client, warehouse.settings, SEEDS)
    assert (list(due.models), due.hours, due.words) == ([], 0, "the warehouse prices by what the seeds say")


def test_a_price_that_differs_marks_its_model_and_the_hours_in_which_it_was_called(warehouse: Warehouse) -> None:
    warehouse.called("openai", "gpt-4o", hours=3)
    warehouse.called("anthropic", "claude-2", hours=5)
    warehouse.client.command(
        f"alter table {warehouse.intermediate}.model_prices update price_version = 'old' "
        "where provider = 'openai' and model = 'gpt-4o'",
        settings={"mutations_sync": 2},
    )
    result = refresh(warehouse.settings, dry_run=True)
    (event,) = result.get_asset_materialization_events()
    said = {name: value.value for name, value in event.step_materialization_data.materialization.metadata.items()}
    assert (said["models_to_restate"], said["hours_to_restate"]) == (1, 3)
    assert "openai/gpt-4o" in str(said["needs_restatement"])
    (check,) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed, check.metadata["hours"].value) == (CHECK, False, 3)


def test_a_warehouse_that_never_read_the_seeds_is_told_so(warehouse: Warehouse) -> None:
    warehouse.client.command(f"drop table {warehouse.intermediate}.model_prices")
    assert "never read" in pending(warehouse.client, warehouse.settings, SEEDS).words


def test_a_refresh_writes_what_the_package_gives_and_says_what_changed(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    (project / "seeds").mkdir(parents=True)
    for name in ("model_prices.csv", "model_name_rules.csv"):
        (project / "seeds" / name).write_bytes((SEEDS / name).read_bytes())
    file = project / "seeds" / "model_prices.csv"
    whole = file.read_text()
    # A seed from before the package knew a model.
    file.write_text(
        "".join(line for line in whole.splitlines(keepends=True) if not line.startswith("anthropic,claude-2,"))
    )
    monkeypatch.setattr(prices, "project_folder", lambda: project)

    (event,) = refresh(warehouse.settings).get_asset_materialization_events()
    said = {name: value.value for name, value in event.step_materialization_data.materialization.metadata.items()}
    assert (said["models_new"], said["files_written"]) == (1, 1)
    assert "claude-2" in str(said["changes"])
    assert "anthropic,claude-2,standard,1970-01-01," in file.read_text()
