"""Drift between dbt's manifest and the database: tables and columns that are missing, of another type, or nobody's.

In: the manifest's nodes (`read_nodes`) and what system.tables and system.columns say. Out: a Finding with a row a
difference. A manifest is partly decoded: only what is asked for here.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from ingest.errors import MeterhouseError
from ingest.settings import Settings
from orchestration.lib.manifest import prepare
from orchestration.lib.quality_finding import Finding, Level, Look, Number

# Materializations that leave nothing by the model's name in the database.
_NOTHING: Final = ("ephemeral", None)
# Those that build a table from what arrived.
BUILT: Final = ("bucketed", "appended", "table", "incremental")


class Column(msgspec.Struct, frozen=True):
    name: str
    data_type: str | None = None


class Meta(msgspec.Struct, frozen=True):
    """What the models' own materialization is told (macros/buckets/bucketed.sql)."""

    bucket: str | None = None
    bucket_column: str | None = None
    change_logs: list[str] = []
    family: str | None = None


class Config(msgspec.Struct, frozen=True):
    materialized: str | None = None
    schema_: str | None = msgspec.field(name="schema", default=None)
    enabled: bool = True
    meta: Meta = Meta()
    tags: list[str] = []


class Depends(msgspec.Struct, frozen=True):
    nodes: list[str] = []


class Node(msgspec.Struct, frozen=True):
    """A model or seed. `config.schema_` is the name without the installation's prefixes."""

    resource_type: str
    name: str
    alias: str = ""
    unique_id: str = ""
    config: Config = Config()
    columns: dict[str, Column] = {}
    tags: list[str] = []
    depends_on: Depends = Depends()

    @property
    def schema(self) -> str:
        return self.config.schema_ or "marts"

    @property
    def is_relation(self) -> bool:
        return self.resource_type in ("model", "seed", "snapshot") and self.config.materialized not in _NOTHING


class _Manifest(msgspec.Struct, frozen=True):
    nodes: dict[str, Node]


@dataclass(frozen=True, order=True)
class Difference:
    """One thing that is not as the manifest says. `kind` is missing_table, extra_table, missing_column, extra_column
    or other_type."""

    kind: str
    table: str
    column: str = ""
    expected: str = ""
    found: str = ""


def read_nodes(path: Path) -> list[Node]:
    """Models and seeds of a manifest.json, by name. Raises MeterhouseError where there is none, or no such file."""
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=_Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise MeterhouseError(f"dbt's manifest {path} cannot be read ({error}): run `dbt parse`.") from error
    return sorted((node for node in manifest.nodes.values() if node.is_relation), key=lambda node: node.name)


def database_of(settings: Settings, schema: str) -> str:
    """Where the models of a schema are: `marts` with the prefixes of this installation."""
    return f"{settings.database_prefix}{settings.models_prefix}{schema}"


def drift(look: Look) -> Finding:
    """Against the manifest that Dagster goes by, made anew where it is older than the project."""
    return manifest_drift(look, read_nodes(prepare(look.settings)))


def manifest_drift(look: Look, nodes: Sequence[Node]) -> Finding:
    """Compares the project with the database. A house in which no model was built yet has nothing to compare."""
    settings, at_most = look.settings, look.thresholds.manifest_drift.list_at_most
    names = {database_of(settings, node.schema): node.schema for node in nodes}
    found: dict[str, dict[str, str]] = {}
    for database, table, column, kind in look.client.query(
        "select tables.database, tables.name, columns.name, columns.type from system.tables as tables "
        "left join system.columns as columns on tables.database = columns.database and tables.name = columns.table "
        "where tables.database in {databases:Array(String)} order by columns.position",
        parameters={"databases": sorted(names)},
    ).result_rows:
        found.setdefault(f"{names[str(database)]}.{table}", {})[str(column)] = str(kind)
    differences = compare(nodes, found)
    counts = {
        kind: sum(one.kind == kind for one in differences)
        for kind in ("missing_table", "extra_table", "missing_column", "extra_column", "other_type")
    }
    built = len(nodes) - counts["missing_table"]
    numbers: dict[str, Number] = {"models": len(nodes), "built": built, **{f"{kind}s": n for kind, n in counts.items()}}
    if not built:
        return Finding(
            Level.WARN, f"none of {len(nodes)} models and seeds is in the database: nothing is built", numbers
        )
    is_error = counts["missing_table"] or counts["missing_column"] or counts["other_type"]
    words = [f"{n} {kind.replace('_', ' ')}{'s' if n > 1 else ''}" for kind, n in counts.items() if n]
    first = (
        f", first {differences[0].table}{'.' if differences[0].column else ''}{differences[0].column}" if words else ""
    )
    return Finding(
        Level.ERROR if is_error else Level.WARN if differences else Level.OK,
        f"{', '.join(words)}{first}" if words else f"{built} models and seeds are as the manifest says",
        numbers,
        [
            {
                "what": one.kind,
                "table": one.table,
                "column": one.column,
                "manifest": one.expected,
                "database": one.found,
            }
            for one in differences[:at_most]
        ],
    )


def compare(nodes: Sequence[Node], found: Mapping[str, Mapping[str, str]]) -> list[Difference]:
    """`found`: column to type by `schema.table`. What weighs most comes first."""
    wanted = {f"{node.schema}.{node.alias or node.name}": node for node in nodes}
    differences = []
    for table, node in wanted.items():
        if table not in found:
            differences.append(Difference("missing_table", table, expected=str(node.config.materialized)))
            continue
        there = found[table]
        for column in node.columns.values():
            if column.name not in there:
                differences.append(Difference("missing_column", table, column.name, column.data_type or ""))
            elif column.data_type and _plain(column.data_type) != _plain(there[column.name]):
                differences.append(Difference("other_type", table, column.name, column.data_type, there[column.name]))
        if node.columns:
            differences += [
                Difference("extra_column", table, name, found=there[name])
                for name in there.keys() - node.columns.keys()
            ]
    differences += [
        Difference("extra_table", table) for table in found.keys() - wanted.keys() if not _is_beside(table, wanted)
    ]
    order = ("missing_table", "missing_column", "other_type", "extra_table", "extra_column")
    return sorted(differences, key=lambda one: (order.index(one.kind), one))


def _is_beside(table: str, wanted: Collection[str]) -> bool:
    """Whether it is a table that a build puts beside its own, such as llm_daily__slice: the next build removes it."""
    parts = table.split("__")
    return "..inner" in table or any("__".join(parts[:count]) in wanted for count in range(1, len(parts)))


def _plain(kind: str) -> str:
    """A type without the spaces that people and engines put differently."""
    return re.sub(r"\s+", "", kind)
