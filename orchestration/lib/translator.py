"""dbt's nodes as Dagster's assets, one small method an attribute.

Keys are <database>/<name> without the installation's prefixes, so that a laptop, a test and production have the same
assets. A test of severity error blocks what is built from its model, as it does in dbt itself.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from dagster import (
    AssetKey,
    AssetSpec,
    DailyPartitionsDefinition,
    FreshnessPolicy,
    TableColumn,
    TableColumnDep,
    TableColumnLineage,
    TableSchema,
)

from orchestration.lib.families import TIME_ZONE, Family, Node, family_of, read_node
from orchestration.lib.freshness import policy_for
from orchestration.lib.light_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject
from orchestration.lib.lineage import Model

FAMILY_TAG: Final = "meterhouse/family"
# Before anybody's data; the day that is running is a partition too, or nothing could be built on it.
DAYS: Final = DailyPartitionsDefinition(start_date="2025-01-01", timezone=TIME_ZONE, end_offset=1)
_KINDS: Final = {"bucketed": "table", "appended": "table", "seed": "seed"}
# What decides a price; the first two are written from the installed package by the asset model_prices.
PRICE_SEEDS: Final = frozenset(
    {"model_prices", "model_name_rules", "model_aliases", "provider_aliases", "model_price_overrides"}
)
_WRITTEN: Final = frozenset({"seed.meterhouse.model_prices", "seed.meterhouse.model_name_rules"})
PRICES: Final = AssetKey(["model_prices"])


class Translator(DagsterDbtTranslator):
    """`lineage` has the columns each column of a model comes from, by unique id (lib/lineage.py); `nodes` are models,
    seeds and sources of the manifest, the one manifest this translator is for."""

    def __init__(self, nodes: Mapping[str, Any] | None = None, lineage: Mapping[str, Model] | None = None) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_code_references=True))
        self._nodes = nodes or {}
        self._lineage = lineage or {}
        self._specs: dict[str, AssetSpec] = {}

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> AssetSpec:
        # dagster-dbt asks for one about ten times, and for every load of the definitions.
        if unique_id not in self._specs:
            spec = super().get_asset_spec(manifest, unique_id, project)
            properties = self.get_resource_props(manifest, unique_id)
            policy = None if properties["resource_type"] == "source" else _policy(family_of(read_node(properties)))
            if policy is not None:
                spec = spec.replace_attributes(freshness_policy=policy)
            self._specs[unique_id] = spec.merge_attributes(deps=[PRICES]) if unique_id in _WRITTEN else spec
        return self._specs[unique_id]

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> AssetKey:
        if dbt_resource_props["resource_type"] == "source":
            # Rendered with the prefix of whoever parsed; the loader's databases are raw and ops.
            database = "raw" if str(dbt_resource_props["schema"]).endswith("raw") else "ops"
            return AssetKey([database, dbt_resource_props["name"]])
        return AssetKey([read_node(dbt_resource_props).config.schema, dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        if dbt_resource_props["resource_type"] == "source":
            return str(self.get_asset_key(dbt_resource_props).path[0])
        return group_of(read_node(dbt_resource_props))

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> Sequence[str] | None:
        owner = dbt_resource_props.get("config", {}).get("meta", {}).get("owner")
        return [f"team:{owner}"] if owner else None

    def get_tags(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, str]:
        if dbt_resource_props["resource_type"] == "source":
            return {}
        return {FAMILY_TAG: family_of(read_node(dbt_resource_props)).value}

    def get_partitions_def(self, dbt_resource_props: Mapping[str, Any]) -> DailyPartitionsDefinition | None:
        return DAYS if read_node(dbt_resource_props).is_bucketed else None

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return str(dbt_resource_props.get("description") or "")

    def get_metadata(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, Any]:
        columns = [
            TableColumn(one["name"], one.get("data_type") or "?", description=one.get("description"))
            for one in dbt_resource_props.get("columns", {}).values()
        ]
        metadata: dict[str, Any] = {
            "materialized": str(dbt_resource_props.get("config", {}).get("materialized") or "source")
        }
        if columns:
            metadata["dagster/column_schema"] = TableSchema(columns)
        known = self._lineage.get(dbt_resource_props["unique_id"])
        if known is not None and known.columns:
            metadata["dagster/column_lineage"] = TableColumnLineage(
                {
                    column: [
                        TableColumnDep(self.get_asset_key(self._nodes[unique_id]), name)
                        for unique_id, name in sources
                        if unique_id in self._nodes
                    ]
                    for column, sources in known.columns.items()
                }
            )
        return metadata


@cache
def _policy(family: Family) -> FreshnessPolicy | None:
    return policy_for(family.value)


def group_of(node: Node) -> str:
    """The folder: staging_agent, intermediate, marts_llm, alerts; seeds have no folder of their own."""
    return "_".join(node.fqn[1:-1]) or "seeds"
