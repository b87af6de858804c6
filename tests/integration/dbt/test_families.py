"""Rhythms of the models: everybody has one, and nobody reads a table that is built less often than itself."""

from dbt.contracts.graph.manifest import Manifest
from dbt.contracts.graph.nodes import ModelNode

from tests.support.models import Models

RHYTHMS = ("fast", "hourly", "daily")
# They collect what alerts of any rhythm wrote, and read nothing themselves.
COLLECT = "board"


def _family(node: ModelNode) -> str:
    return str(node.config.meta.get("family"))


def _tables_read(manifest: Manifest, node: ModelNode) -> list[ModelNode]:
    """The models whose tables a model reads, also through views."""
    found: list[ModelNode] = []
    for unique_id in node.depends_on.nodes:
        upstream = manifest.nodes.get(unique_id)
        if isinstance(upstream, ModelNode):
            is_view = upstream.config.materialized == "view"
            found += _tables_read(manifest, upstream) if is_view else [upstream]
    return found


def test_every_model_is_built_in_one_rhythm_and_reads_nothing_slower(project: Models) -> None:
    assert project.manifest is not None
    nodes = [node for node in project.manifest.nodes.values() if isinstance(node, ModelNode)]
    assert {node.name: _family(node) for node in nodes if _family(node) not in RHYTHMS} == {}
    slower = [
        f"{node.name} ({_family(node)}) reads {upstream.name} ({_family(upstream)})"
        for node in nodes
        if node.config.materialized != COLLECT
        for upstream in _tables_read(project.manifest, node)
        if RHYTHMS.index(_family(upstream)) > RHYTHMS.index(_family(node))
    ]
    assert slower == []


def test_a_view_costs_the_fast_builds_nothing(project: Models) -> None:
    assert project.manifest is not None
    fast = [n for n in project.manifest.nodes.values() if isinstance(n, ModelNode) and _family(n) == "fast"]
    assert [node.name for node in fast if node.config.materialized == "view"] == []
