"""The contract, its documents, the raw table and the dbt source speak of the same columns in the same order."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ingest.contracts.docs import documents
from ingest.contracts.fields import COLUMNS, FIELDS
from ingest.contracts.json_schema import event_schema

ROOT = Path(__file__).parents[3]

# One process may hold one chDB, so the table is made in one of its own.
DESCRIBE = """
import json, sys
from chdb.session import Session
from ingest.schema.engines import Layout
from ingest.schema.files import load_migrations
session, layout = Session(sys.argv[1]), Layout()
for name in ("raw", "ops"):
    session.query(f"create database if not exists {name}")
for migration in load_migrations():
    for statement in migration.statements(layout):
        session.query(statement)
print(session.query(
    "select name, type, default_kind from system.columns where database = 'raw' and table = 'agent_events' "
    "order by position", "JSON"))
"""


@pytest.fixture(scope="module")
def raw_columns(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """Columns of raw.agent_events as the engine made them from the migrations."""
    folder = tmp_path_factory.mktemp("agreement")
    done = subprocess.run(
        [sys.executable, "-c", DESCRIBE, str(folder / "data")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    rows: list[dict[str, str]] = json.loads(done.stdout)["data"]
    return rows


def test_the_raw_table_has_the_contracts_columns_in_order_and_type(raw_columns: list[dict[str, str]]) -> None:
    sent_or_defaulted = [row for row in raw_columns if row["default_kind"] not in ("MATERIALIZED", "ALIAS")]
    assert [(row["name"], row["type"]) for row in sent_or_defaulted] == [
        (column.name, column.clickhouse_type) for column in COLUMNS
    ]


def test_only_the_time_of_loading_is_set_by_the_engine(raw_columns: list[dict[str, str]]) -> None:
    assert [row["name"] for row in raw_columns if row["default_kind"] == "DEFAULT"] == ["_loaded_at"]


def test_the_schema_has_the_contracts_fields_in_order() -> None:
    properties = event_schema()["properties"]
    assert isinstance(properties, dict)
    assert list(properties) == [field.name for field in FIELDS]


@pytest.mark.parametrize("name", documents())
def test_the_committed_documents_are_what_the_contract_generates(name: str) -> None:
    committed = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert committed == documents()[name], f"docs/{name} is stale. Run `python -m ingest.contracts.docs` and commit it."


def test_the_dbt_source_lists_the_tables_columns_in_order_the_engines_own_included(
    raw_columns: list[dict[str, str]],
) -> None:
    sources = yaml.safe_load((ROOT / "models" / "staging" / "agent" / "_agent__sources.yml").read_text("utf-8"))[
        "sources"
    ]
    listed = [
        [column["name"] for column in table["columns"]]
        for source in sources
        for table in source["tables"]
        if table["name"] == "agent_events"
    ]
    assert listed == [[row["name"] for row in raw_columns]]


def test_staging_renames_and_keeps_every_column_of_the_contract() -> None:
    """A field added to the contract and forgotten in staging would be in no mart."""
    text = (ROOT / "models" / "staging" / "agent" / "stg_agent__events.sql").read_text("utf-8")
    assert [column.name for column in COLUMNS if not re.search(rf"^\s+{column.name}\b", text, re.MULTILINE)] == []
