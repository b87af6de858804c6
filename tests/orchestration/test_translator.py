"""What of dbt's models people see in Dagster."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetKey, AssetSpec, TableColumnLineage, TableSchema

from ingest.errors import MeterhouseError
from orchestration.defs.dbt.assets import PROJECT, TRANSLATOR, dbt_models
from orchestration.lib import lineage
from orchestration.lib.families import Family, family_of, read_node
from orchestration.lib.translator import DAYS, FAMILY_TAG, PRICES, Translator


def spec(database: str, name: str) -> AssetSpec:
    return dbt_models.specs_by_key[AssetKey([database, name])]


def models() -> Iterator[Any]:
    return (node for node in PROJECT.manifest["nodes"].values() if node["resource_type"] == "model")


def test_a_mart_shows_its_folder_owner_family_kind_columns_and_file() -> None:
    mart = spec("marts", "llm_daily")
    assert (mart.group_name, mart.owners, mart.tags[FAMILY_TAG]) == ("marts_llm", ["team:platform"], "hourly")
    assert {"dbt", "clickhouse"} <= mart.kinds
    schema = mart.metadata["dagster/column_schema"]
    assert isinstance(schema, TableSchema)
    day = next(column for column in schema.columns if column.name == "day")
    assert (day.type, bool(day.description)) == ("Date", True)
    references = mart.metadata["dagster/code_references"].code_references
    assert [Path(one.file_path).name for one in references] == ["llm_daily.sql"]


def test_only_what_is_built_from_buckets_of_time_has_days() -> None:
    assert spec("marts", "llm_daily").partitions_def == DAYS
    assert spec("intermediate", "int_changed_hours").partitions_def is None
    assert DAYS.has_partition_key(DAYS.get_last_partition_key() or ""), "the day that is running"


def test_the_raw_tables_are_upstream_under_the_key_by_which_they_are_landed() -> None:
    assert AssetKey(["raw", "agent_events"]) in {dep.asset_key for dep in spec("staging", "stg_agent__events").deps}


def test_a_prefix_of_an_installation_is_in_no_key() -> None:
    node = {**PROJECT.manifest["nodes"]["model.meterhouse.llm_daily"], "schema": "demo_marts"}
    assert Translator().get_asset_key(node) == AssetKey(["marts", "llm_daily"])
    source = {"resource_type": "source", "schema": "demo_raw", "name": "agent_events"}
    assert Translator().get_asset_key(source) == AssetKey(["raw", "agent_events"])


def test_prices_that_are_written_from_the_package_stand_below_what_writes_them() -> None:
    assert PRICES in {dep.asset_key for dep in spec("intermediate", "model_prices").deps}
    assert PRICES not in {dep.asset_key for dep in spec("intermediate", "budgets").deps}


def test_a_test_of_severity_error_blocks_what_stands_below_and_a_warning_does_not() -> None:
    severities = {
        check.blocking: PROJECT.manifest["nodes"][PROJECT.tests[check.key]]["config"]["severity"].lower()
        for check in dbt_models.check_specs
    }
    assert severities == {True: "error", False: "warn"}


def test_every_dbt_test_is_a_check_of_some_asset() -> None:
    tests = {one for one, node in PROJECT.manifest["nodes"].items() if node["resource_type"] == "test"}
    assert tests - set(PROJECT.tests.values()) == set(), (
        "say meta.dagster.ref.name in the test: on which model it shows"
    )


def test_every_model_has_a_family_and_what_is_fast_waits_for_nothing_slower() -> None:
    families = {node["unique_id"]: family_of(read_node(node)) for node in models()}
    slower = {
        f"{node['name']} reads {PROJECT.manifest['nodes'][one]['name']}"
        for node in models()
        for one in node["depends_on"]["nodes"]
        if families[node["unique_id"]] is Family.FAST
        and families.get(one, Family.FAST) is not Family.FAST
        and not read_node(PROJECT.manifest["nodes"][one]).is_view
    }
    # The two tables of alerts are written by each rule in its own rhythm, and only made here.
    assert {line.split(" reads ")[0] for line in slower} <= {"alerts_current", "alert_evaluations"}, slower


def test_a_family_that_does_not_exist_stops_the_definitions_with_the_models_name() -> None:
    node = {**PROJECT.manifest["nodes"]["model.meterhouse.llm_daily"], "config": {"meta": {"family": "weekly"}}}
    with pytest.raises(MeterhouseError, match="llm_daily names the family 'weekly'"):
        Translator().get_tags(node)


def test_columns_say_which_columns_they_come_from_once_their_sql_was_compiled(tmp_path: Path) -> None:
    nodes = {**PROJECT.manifest["nodes"], **PROJECT.manifest["sources"]}
    node = nodes["model.meterhouse.llm_daily"]
    compiled = tmp_path / "compiled" / "meterhouse" / node["original_file_path"]
    compiled.parent.mkdir(parents=True)
    compiled.write_text(
        "with hours as (select *, toDate(hour) as day from `marts`.`llm_hourly` where __in_buckets(hour)__) "
        "select day, sum(calls) as calls, quantilesMerge(0.5, 0.9)(latency_ms_state) as latencies from hours "
        "group by day"
    )
    manifest = tmp_path / "manifest.json"
    assert lineage.note(manifest, nodes, tmp_path / "compiled") == 1
    assert lineage.note(manifest, nodes, tmp_path / "compiled") == 0, "read anew though nothing changed"
    shown = Translator(nodes, lineage.read(manifest)).get_metadata(node)["dagster/column_lineage"]
    assert isinstance(shown, TableColumnLineage)
    origins = {
        column: [(one.asset_key, one.column_name) for one in deps] for column, deps in shown.deps_by_column.items()
    }
    hourly = AssetKey(["marts", "llm_hourly"])
    assert origins == {
        "day": [(hourly, "hour")], "calls": [(hourly, "calls")], "latencies": [(hourly, "latency_ms_state")],
    }  # fmt: skip


def test_sql_that_the_parser_does_not_know_has_no_lineage_and_breaks_nothing(tmp_path: Path) -> None:
    nodes = PROJECT.manifest["nodes"]
    compiled = tmp_path / "compiled" / "meterhouse" / nodes["model.meterhouse.llm_daily"]["original_file_path"]
    compiled.parent.mkdir(parents=True)
    compiled.write_text("select (((")
    lineage.note(tmp_path / "manifest.json", nodes, tmp_path / "compiled")
    assert lineage.read(tmp_path / "manifest.json")["model.meterhouse.llm_daily"].columns == {}


def test_the_translator_of_the_definitions_knows_the_nodes() -> None:
    assert TRANSLATOR.settings.enable_code_references
