"""The one place that knows engines, ON CLUSTER and database names.

In: a migration file's text with placeholders. Out: SQL for one node, or for a cluster. A placeholder that is not in
the table below, or whose argument does not fit, raises TemplateError naming file and line: nothing is passed through.

| placeholder | one node | cluster |
| --- | --- | --- |
| `{{raw}}` `{{ops}}` | the database, prefixed and quoted | the same |
| `{{on_cluster}}` | nothing | `on cluster '<name>'` |
| `{{stored raw.t}}` | the table `t` | `t_local`: this node's shard of it |
| `{{sharded Engine(args)}}` | `Engine(args)` | Replicated, a Keeper path a shard |
| `{{everywhere Engine(args)}}` | `Engine(args)` | Replicated, one Keeper path for all nodes of all shards |
| `{{dedup_window n}}` | `non_replicated_deduplication_window` | `replicated_deduplication_window` and its seconds |
| `{{distributed raw.t key}}` | nothing | `create table t … engine = Distributed(… t_local, key)` |
| `{{retention_days}}` | the setting | the same |

Why so: docs/raw-tables.md, "On a cluster".
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from ingest.errors import MeterhouseError

# A DateTime ends in February 2106; a TTL beyond it would wrap around and delete what it should keep.
LONGEST_TTL_DAYS = 20_000
# Keeper holds a node a token, and an insert on a cluster compares with all of them; a single node reads a file once.
MOST_REPLICATED_BLOCKS = 10_000
DEDUP_WINDOW_SECONDS = 30 * 86_400
_PLACEHOLDER = re.compile(r"\{\{\s*([a-z_]+)(?:\s+(.*?))?\s*\}\}")
_DATABASES = ("raw", "ops")
_TABLE = re.compile(r"(raw|ops)\.([a-z_][a-z0-9_]*)")
_ENGINE = re.compile(r"((?:Replacing)?MergeTree)(?:\(([a-z_][a-z0-9_]*)?\))?")
_DISTRIBUTED = re.compile(r"((?:raw|ops)\.[a-z_][a-z0-9_]*)\s+([A-Za-z0-9_(), ]+)")


class TemplateError(MeterhouseError):
    """A migration file holds a placeholder that is unknown or does not fit."""


@dataclass(frozen=True)
class Layout:
    """Where and how tables are made: names, cluster, retention."""

    database_prefix: str = ""
    cluster: str = ""
    retention_days: int = 90

    def database(self, name: str) -> str:
        """The database's quoted name with its prefix."""
        return f"`{self.database_prefix}{name}`"

    def stored_table(self, name: str) -> str:
        """The quoted table that holds the rows of `raw.t`: itself, or its local shard on a cluster."""
        database, table = _parse_table(name)
        return f"{self.database(database)}.{table}{'_local' if self.cluster and database == 'raw' else ''}"

    @property
    def on_cluster(self) -> str:
        return f"on cluster '{self.cluster}'" if self.cluster else ""

    def sharded(self, engine: str) -> str:
        """A table whose rows are spread over shards: every shard deduplicates its own inserts."""
        return self._replicated(engine, "/clickhouse/tables/{shard}/{database}/{table}", "{replica}")

    def everywhere(self, engine: str) -> str:
        """A table that is whole on every node: one deduplication log in Keeper for all, so a token is a global lock."""
        return self._replicated(engine, "/clickhouse/tables/all/{database}/{table}", "{shard}-{replica}")

    def _replicated(self, engine: str, path: str, replica: str) -> str:
        found = _ENGINE.fullmatch(engine)
        if found is None:
            raise ValueError(f"expected MergeTree or ReplacingMergeTree(column), came {engine!r}")
        name, argument = found.group(1), found.group(2)
        if not self.cluster:
            return f"{name}({argument or ''})"
        arguments = [f"'{path}'", f"'{replica}'", *([argument] if argument else [])]
        return f"Replicated{name}({', '.join(arguments)})"

    def dedup_window(self, blocks: str) -> str:
        if not blocks.isdecimal() or int(blocks) == 0:
            raise ValueError(f"expected a number of blocks above 0, came {blocks!r}")
        if not self.cluster:
            return f"non_replicated_deduplication_window = {blocks}"
        return (
            f"replicated_deduplication_window = {min(int(blocks), MOST_REPLICATED_BLOCKS)}, "
            f"replicated_deduplication_window_seconds = {DEDUP_WINDOW_SECONDS}"
        )

    def distributed(self, argument: str) -> str:
        found = _DISTRIBUTED.fullmatch(argument)
        if found is None:
            raise ValueError(f"expected database.table and a sharding key, came {argument!r}")
        if not self.cluster:
            return ""
        name, key = found.group(1), found.group(2).strip()
        database, table = _parse_table(name)
        stored = self.stored_table(name)
        return (
            f"create table if not exists {self.database(database)}.{table} {self.on_cluster} as {stored}\n"
            f"engine = Distributed('{self.cluster}', '{self.database_prefix}{database}', "
            f"'{stored.rpartition('.')[2]}', {key})"
        )

    @property
    def ttl_days(self) -> int | None:
        """Days after landing when rows of raw.agent_events go; None keeps them for ever (see LONGEST_TTL_DAYS)."""
        return self.retention_days if self.retention_days <= LONGEST_TTL_DAYS else None


def render(text: str, layout: Layout, source: str) -> str:
    """The text with every placeholder replaced. `source` is the file's name, for the error."""
    without_argument: dict[str, Callable[[], str]] = {
        "on_cluster": lambda: layout.on_cluster,
        "retention_days": lambda: str(min(layout.retention_days, LONGEST_TTL_DAYS)),
        **{name: (lambda name=name: layout.database(name)) for name in _DATABASES},  # type: ignore[misc]
    }
    with_argument: dict[str, Callable[[str], str]] = {
        "stored": layout.stored_table,
        "sharded": layout.sharded,
        "everywhere": layout.everywhere,
        "dedup_window": layout.dedup_window,
        "distributed": layout.distributed,
    }

    def replace(found: re.Match[str]) -> str:
        name, argument = found.group(1), found.group(2)
        place = f"{source} line {text.count(chr(10), 0, found.start()) + 1}"
        try:
            if argument is None and name in without_argument:
                return without_argument[name]()
            if argument is not None and name in with_argument:
                return with_argument[name](argument)
        except ValueError as error:
            raise TemplateError(f"{place}: {{{{{name}}}}} {error}. Correct the file.") from None
        known = ", ".join(sorted([*without_argument, *(f"{name} …" for name in with_argument)]))
        raise TemplateError(f"{place}: unknown placeholder {found.group(0)}; known are {known}. Correct the file.")

    rendered = _PLACEHOLDER.sub(replace, text)
    for brace in ("{{", "}}"):
        if brace in rendered:
            line = rendered.count("\n", 0, rendered.index(brace)) + 1
            raise TemplateError(f"{source} line {line}: a {brace} that is no placeholder. Correct the file.")
    return rendered


def _parse_table(name: str) -> tuple[str, str]:
    found = _TABLE.fullmatch(name)
    if found is None:
        raise ValueError(f"expected raw.<table> or ops.<table>, came {name!r}")
    return found.group(1), found.group(2)
