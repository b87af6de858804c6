"""Which columns a model's columns come from, read out of the SQL that dbt compiled, and kept beside the manifest.

A run of dbt leaves compiled SQL behind; `note` works through what changed since it was last noted (all models take some
seconds, nothing takes none), `read` gives it to the definitions. SQL that the parser does not know has no lineage: that
is a log line, never a failed build.
"""

import hashlib
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from sqlglot import MappingSchema

log: Final = logging.getLogger(__name__)
# Marks that the materializations replace (macros/buckets/predicates.sql), and the parameters of aggregate functions.
_MARKS: Final = re.compile(r"__(?:in_buckets|arrived|unseen)\(.+?\)__")
_PARAMETERS: Final = re.compile(r"\b(\w+)\([\d., ]+\)\(")
_DIALECT: Final = "clickhouse"


class Model(msgspec.Struct, frozen=True):
    """`columns`: for each column, the (unique id, column) pairs it is computed from. `sql`: a hash of what was read."""

    sql: str
    columns: dict[str, list[tuple[str, str]]]


def file_of(manifest: Path) -> Path:
    return manifest.with_name("lineage.json")


def read(manifest: Path) -> dict[str, Model]:
    """By unique id; empty where nothing was noted yet, or by another version."""
    try:
        return msgspec.json.decode(file_of(manifest).read_bytes(), type=dict[str, Model])
    except (FileNotFoundError, msgspec.MsgspecError):
        return {}


def note(manifest: Path, nodes: Mapping[str, Any], compiled: Path) -> int:
    """Adds what a run compiled under the folder `compiled`; returns how many models were read anew."""
    known, schema = read(manifest), None
    found: dict[str, Model] = {}
    for unique_id, node, text in _compiled(nodes, compiled):
        digest = hashlib.sha256(text.encode()).hexdigest()
        if unique_id in known and known[unique_id].sql == digest:
            continue
        schema = schema or _schema(nodes)
        found[unique_id] = Model(digest, _columns(node["name"], text, schema, _relations(nodes)))
    if found:
        beside = file_of(manifest).with_suffix(".new")
        beside.write_bytes(msgspec.json.encode({**known, **found}))
        beside.replace(file_of(manifest))
    return len(found)


def _compiled(nodes: Mapping[str, Any], compiled: Path) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    for unique_id, node in nodes.items():
        if node["resource_type"] == "model":
            file = compiled / node["package_name"] / node["original_file_path"]
            if file.is_file():
                yield unique_id, node, file.read_text("utf-8")


def _relations(nodes: Mapping[str, Any]) -> dict[str, str]:
    return {
        str(node["relation_name"]).replace("`", ""): one for one, node in nodes.items() if node.get("relation_name")
    }


def _schema(nodes: Mapping[str, Any]) -> "MappingSchema":
    from sqlglot import MappingSchema, to_table

    schema = MappingSchema(dialect=_DIALECT)
    for node in nodes.values():
        if node.get("relation_name"):
            columns = {one["name"]: one.get("data_type") or "String" for one in node["columns"].values()}
            schema.add_table(to_table(node["relation_name"], dialect=_DIALECT), columns, dialect=_DIALECT)
    return schema


def _columns(
    name: str, text: str, schema: "MappingSchema", relations: Mapping[str, str]
) -> dict[str, list[tuple[str, str]]]:
    from sqlglot import exp, parse_one
    from sqlglot.errors import SqlglotError
    from sqlglot.lineage import lineage
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope

    plain = _PARAMETERS.sub(r"\1(", _MARKS.sub("(1 = 1)", text).replace("__change_id__", "toUInt64(0)"))
    columns: dict[str, list[tuple[str, str]]] = {}
    try:
        query = qualify(
            parse_one(plain, dialect=_DIALECT), schema=schema, dialect=_DIALECT, validate_qualify_columns=False,
            quote_identifiers=False, identify=False,
        )  # fmt: skip
        roots = lineage(None, query, schema, scope=build_scope(query), dialect=_DIALECT, trim_selects=False)
        for column, root in roots.items():
            leaves = set()
            for leaf in (one for one in root.walk() if not one.downstream):
                table = leaf.expression.find(exp.Table)
                source = relations.get(f"{table.db}.{table.name}") if table is not None else None
                if source is not None:
                    leaves.add((source, exp.to_column(leaf.name).name))
            columns[column] = sorted(leaves)
    except (SqlglotError, TypeError, ValueError, RecursionError) as error:
        log.info("no column lineage of %s: %s", name, type(error).__name__)
    return columns
