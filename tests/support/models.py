"""The dbt project on a test's own databases: land rows, build, read a mart, compare.

dbt runs inside the test's process and keeps what it parsed, since a process a build would cost more than the build.
Rows go straight into raw.agent_events; `_loaded_at` is the engine's, as for the loader.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from typing import Any

from clickhouse_connect.driver.client import Client
from dbt.artifacts.resources.types import NodeType
from dbt.artifacts.schemas.run import RunExecutionResult
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest

from ingest.building.dbt import Node, environment, project_folder
from ingest.schema.engines import Layout
from ingest.schema.migrate import migrate
from ingest.settings import Settings
from ingest.warehouse import insert_settings

Event = Mapping[str, object]
Rows = Sequence[Mapping[str, object]]


@dataclass
class Models:
    """One project on one set of databases; `as_of` is what the models take for now, `variables` dbt's vars besides."""

    settings: Settings
    client: Client
    as_of: str
    manifest: Manifest | None = None
    variables: dict[str, object] = field(default_factory=dict)
    _offset: int = field(default=0)

    def set_up(self) -> None:
        """Empty raw tables, as the loader would find them, and the seeds. Parses the project, once."""
        migrate(self.client, Layout(self.settings.database_prefix, "", self.settings.retention_days))
        with _environment(environment(self.settings)):
            parsed = dbtRunner().invoke(["parse", *self._flags()], project_dir=str(project_folder()))
        assert isinstance(parsed.result, Manifest), parsed.exception
        self.manifest = parsed.result
        self.build(command="seed")

    def start_over(self) -> None:
        """As after set_up, without reading the seeds again: no rows, models, negotiated prices, no memory of builds."""
        assert self.manifest is not None, "set up first"
        seeds = {node.name for node in self.manifest.nodes.values() if node.resource_type is NodeType.Seed}
        found = self.client.query(
            "select database, name, engine from system.tables where startsWith(database, {prefix:String})",
            parameters={"prefix": self.settings.database_prefix},
        ).result_rows
        for database, name, engine in found:
            where = database.removeprefix(self.settings.database_prefix)
            if where in ("raw", "ops"):
                if "View" not in engine and name != "migrations":
                    self.client.command(f"truncate table {database}.{name} sync")
            elif name not in seeds:
                self.client.command(f"drop {'view' if engine == 'View' else 'table'} {database}.{name} sync")
            elif name == "model_price_overrides":
                self.client.command(f"truncate table {database}.{name} sync")

    def land(self, events: Iterable[Event]) -> None:
        """One insert: its rows get one _loaded_at and rising offsets, so a later one of equal event_id wins."""
        lines = []
        for event in events:
            self._offset += 1
            origin = {"_topic": "agent_events", "_partition": 0, "_offset": self._offset}
            lines.append(json.dumps({**event, **origin}, default=str))
        if lines:
            self.client.raw_insert(
                f"{self.settings.database('raw')}.agent_events",
                insert_block=BytesIO("\n".join(lines).encode()),
                fmt="JSONEachRow",
                settings={
                    **insert_settings(self.client, f"test:{self._offset}"),
                    "date_time_input_format": "best_effort",
                },
            )

    def build(self, *arguments: str, command: str = "run") -> list[Node]:
        """`dbt run` with these arguments; raises AssertionError with dbt's words where a node fails."""
        with _environment(environment(self.settings)):
            runner = dbtRunner(manifest=self.manifest)
            outcome = runner.invoke([command, *self._flags(), *arguments], project_dir=str(project_folder()))
        if outcome.exception is not None:
            raise AssertionError(f"dbt {command} did not begin: {outcome.exception}") from outcome.exception
        assert isinstance(outcome.result, RunExecutionResult)
        nodes = [
            Node(one.node.unique_id, str(one.status), one.execution_time, one.message) for one in outcome.result.results
        ]
        bad = [f"{node.name}: {node.status}: {node.message}" for node in nodes if node.is_bad]
        assert not bad, "\n".join(bad)
        return nodes

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """`dbt run` as a process and group of its own, for whoever means to kill it; its words on stdout."""
        dbt = [sys.executable, "-m", "dbt.cli.main", "--no-use-colors"]
        return subprocess.Popen(
            [*dbt, "run", *self._flags(quiet=False), *arguments],
            cwd=project_folder(),
            env={**os.environ, **environment(self.settings)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def _flags(self, *, quiet: bool = True) -> list[str]:
        variables = json.dumps(
            {
                # A killed build's locks are taken over at once: tests kill many.
                "as_of": self.as_of,
                "visibility_lag_s": 0,
                "build_lock_lease_s": 2,
                **self.variables,
            }
        )
        flags = ["--vars", variables, "--profiles-dir", str(project_folder() / "profiles")]
        return [*flags, "--quiet"] if quiet else flags

    def reprice(self, workspace_id: str, provider: str, model: str, usd_per_mtok: int, valid_from: datetime) -> None:
        """A negotiated price as finance would write it into the seed, instead of the workspace's one for that model."""
        table = f"{self.settings.database('intermediate')}.model_price_overrides"
        self.client.command(
            f"alter table {table} delete where workspace_id = {{workspace:String}} and model = {{model:String}}",
            parameters={"workspace": workspace_id, "model": model},
            settings={"mutations_sync": 2},
        )
        columns = "workspace_id, provider, model, valid_from, input_usd_per_mtok, output_usd_per_mtok, source, version"
        self.client.command(
            f"insert into {table} ({columns}) values ({{workspace:String}}, {{provider:String}}, {{model:String}}, "
            "{at:DateTime('UTC')}, {usd:Decimal(18, 6)}, {usd:Decimal(18, 6)}, 'contract', {version:String})",
            parameters={
                "workspace": workspace_id, "provider": provider, "model": model, "at": valid_from,
                "usd": usd_per_mtok, "version": f"{usd_per_mtok}",
            },
        )  # fmt: skip

    def tables(self, schema: str) -> list[str]:
        """Names of the models of a database, sorted."""
        assert self.manifest is not None, "build first"
        nodes = [node for node in self.manifest.nodes.values() if node.resource_type is NodeType.Model]
        return sorted(f"{schema}.{one.name}" for one in nodes if one.config.schema == schema)

    def rows(self, table: str, columns: str = "*", where: str = "1 = 1") -> Rows:
        """Every row of `marts.x` or `intermediate.x`, in a stable order; aggregate states as their bytes in hex."""
        database, name = table.split(".")
        found = self.client.query(
            f"select {columns} from {self.settings.database_prefix}{database}.{name} where {where} order by all"
        )
        return [dict(zip(found.column_names, row, strict=True)) for row in found.result_rows]

    def digest(self, table: str, leave_out: Sequence[str] = ()) -> tuple[int, str]:
        """Rows and a hash over all of them, whatever their order; states are finalized first."""
        database, name = table.split(".")
        described: Any = self.client.query(
            "select name, type from system.columns "
            "where database = {d:String} and table = {t:String} order by position",
            parameters={"d": f"{self.settings.database_prefix}{database}", "t": name},
        ).result_rows
        columns = [
            f"finalizeAggregation({column})" if kind.startswith("AggregateFunction") else column
            for column, kind in described
            if column not in leave_out
        ]
        text = ", ".join(f"ifNull(toString({column}), '∅')" for column in columns)
        row = self.client.query(
            f"select count(), toString(sum(cityHash64({text}))) from {self.settings.database_prefix}{database}.{name}"
        ).result_rows[0]
        return int(row[0]), str(row[1])


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
