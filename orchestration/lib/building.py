"""One run of dbt for Dagster: from selected assets and checks to events, with numbers.

In: what the step selected, Settings, the manifest. Out: Dagster's events as dbt goes: an Output a model (rows, how it
was built), a result a test, a materialization of every other day that arrivals touched. A model that failed raises
Failure, which may be tried again; a test that failed raises one that may not, for the data will say the same.
"""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from dagster import AssetCheckKey, AssetExecutionContext, AssetKey, AssetMaterialization, Failure, Output

from ingest.building.dbt import Node as Result
from ingest.building.dbt import environment, project_folder
from orchestration.lib import lineage
from orchestration.lib import manifest as manifests
from orchestration.lib.dbt_args import Build, Days, Selected, dbt_args
from orchestration.lib.families import Node, read_node
from orchestration.lib.light_dbt import DbtCliInvocation, DbtProject, dbt_version
from orchestration.lib.translator import DAYS, Translator

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from ingest.settings import Settings

# A run with this tag builds what arrived, whatever its partition; one without builds exactly its days anew.
BUILD_TAG: Final = "meterhouse/build"
ARRIVALS: Final = "arrivals"
FULL: Final = "full"
# A job with this tag says what it would do until it is told to do it. By tag and not by the job's default config, which
# a run launched from elsewhere than the launchpad does not get.
ASKS_FIRST: Final[Mapping[str, str]] = {"meterhouse/asks_first": "true"}
_BUILD_NODES: Final = ("model", "seed")


@dataclass(frozen=True)
class Project:
    """The manifest as Dagster knows it: nodes by asset key, unique ids of tests by check key."""

    manifest: Mapping[str, Any]
    dbt_project: DbtProject
    translator: Translator
    nodes: Mapping[AssetKey, Node]
    tests: Mapping[AssetCheckKey, str]

    @classmethod
    def of(
        cls,
        manifest: Mapping[str, Any],
        dbt_project: DbtProject,
        translator: Translator,
        tests: Mapping[AssetCheckKey, str],
    ) -> "Project":
        nodes = {
            translator.get_asset_key(properties): read_node(properties)
            for properties in manifest["nodes"].values()
            if properties["resource_type"] in _BUILD_NODES
        }
        return cls(manifest, dbt_project, translator, nodes, tests)

    def test(self, key: AssetCheckKey) -> Selected:
        return Selected(tuple(self.manifest["nodes"][self.tests[key]]["fqn"]))


class _Results(msgspec.Struct):
    results: list[Result]


def what_to_build(context: AssetExecutionContext, project: Project, *, full_refresh: bool) -> Build:
    """What the step selected, as dbt's arguments are made from it."""
    nodes = [project.nodes[key] for key in context.selected_asset_keys]
    asked = context.run.tags.get(BUILD_TAG)
    full_refresh = full_refresh or asked == FULL
    has_days = asked != ARRIVALS and not full_refresh and any(node.is_bucketed for node in nodes)
    return Build(
        models=[Selected(tuple(node.fqn)) for node in nodes if node.resource_type == "model"],
        seeds=[Selected(tuple(node.fqn)) for node in nodes if node.resource_type == "seed"],
        tests=[project.test(key) for key in context.selected_asset_check_keys],
        days=_days(context) if has_days else None,
        full_refresh=full_refresh,
    )


def asks_first(context: AssetExecutionContext) -> bool:
    """Whether the run's job only says what it would do, unless it is told otherwise."""
    return all(context.run.tags.get(name) == value for name, value in ASKS_FIRST.items())


def _days(context: AssetExecutionContext) -> Days:
    chosen = context.partition_key_range
    return Days(date.fromisoformat(chosen.start), date.fromisoformat(chosen.end))


def run_dbt(
    context: AssetExecutionContext, project: Project, build: Build, settings: "Settings", client: "Client"
) -> Iterator[object]:
    """Runs it; yields Dagster's events."""
    target = manifests.folder(settings) / "runs" / f"{context.run.run_id}-{context.retry_number}"
    _bring_parsed(settings, target)
    profiles = str(project_folder() / "profiles")
    invocation = DbtCliInvocation.run(
        args=[sys.executable, "-W", "ignore::RuntimeWarning:runpy", "-m", "dbt.cli.main", *dbt_args(build, profiles)],
        env={
            **os.environ,
            **environment(settings),
            "DBT_TARGET_PATH": str(target),
            "DBT_LOG_PATH": str(target),
            "DBT_LOG_FORMAT": "json",
            "PYTHONUNBUFFERED": "1",
            "MH_BUILT_BY": f"Dagster's {context.run.job_name}, run {context.run.run_id[:8]}",
        },
        manifest=project.manifest,
        dagster_dbt_translator=project.translator,
        project_dir=project_folder(),
        target_path=target,
        raise_on_error=False,
        context=context,
        # Row counts come from system.tables: an adapter in this process too would cost two seconds of imports a run.
        adapter=None,
        cli_version=dbt_version(),
        dbt_project=project.dbt_project,
    )
    by_output = {key.to_python_identifier(): key for key in project.nodes}
    for event in invocation.stream():
        if isinstance(event, Output) and event.output_name in by_output:
            key = by_output[event.output_name]
            yield _with_numbers(event, project.nodes[key], settings, client)
            for day in _other_days(context, project.nodes[key], build, settings, client):
                context.log_event(AssetMaterialization(key, partition=day))
        else:
            yield event
    if context.run.job_name != "fast":
        note_lineage(project, settings, target)
    _conclude(invocation, target)


def note_lineage(project: Project, settings: "Settings", target: Path) -> None:
    """Reads the columns' origins out of what this run compiled; the next load of the definitions shows them."""
    nodes = {**project.manifest["nodes"], **project.manifest["sources"]}
    lineage.note(manifests.folder(settings) / "manifest.json", nodes, target / "compiled")


def _bring_parsed(settings: "Settings", target: Path) -> None:
    """What dbt parsed when the manifest was made, so that it does not parse again."""
    target.mkdir(parents=True, exist_ok=True)
    parsed = manifests.folder(settings) / "partial_parse.msgpack"
    if parsed.is_file():
        shutil.copy(parsed, target / parsed.name)


def _with_numbers(event: "Output[Any]", node: Node, settings: "Settings", client: "Client") -> "Output[Any]":
    rows = client.query(
        "select total_rows from system.tables where database = {database:String} and name = {name:String}",
        parameters={"database": database_of(node, settings), "name": node.name},
    ).result_rows
    metadata: dict[str, Any] = {}
    # A view has no rows of its own.
    if rows and rows[0][0] is not None:
        metadata["dagster/row_count"] = int(rows[0][0])
    built = client.query(
        f"select mode, buckets from {_ops(settings)}.model_builds where model = {{name:String}} "  # noqa: S608
        "order by built_at desc limit 1",
        parameters={"name": node.name},
    ).result_rows
    if node.is_bucketed and built:
        metadata |= {"built": str(built[0][0]), "buckets": int(built[0][1])}
    return event.with_metadata({**(event.metadata or {}), **metadata})


def database_of(node: Node, settings: "Settings") -> str:
    """Where dbt builds the node (macros/naming/generate_schema_name.sql)."""
    return f"{settings.database_prefix}{settings.models_prefix}{node.config.schema}"


def _ops(settings: "Settings") -> str:
    return f"{settings.database_prefix}{settings.models_prefix}ops"


def _other_days(
    context: AssetExecutionContext, node: Node, build: Build, settings: "Settings", client: "Client"
) -> list[str]:
    """Days besides the run's own whose buckets this build of a bucketed model has put in place."""
    if not node.is_bucketed or build.days is not None:
        return []
    intermediate = f"{settings.database_prefix}{settings.models_prefix}intermediate"
    ops = _ops(settings)
    builds = client.query(
        "select change_log, argMax(mode, built_at), argMax(built_to, built_at), "  # noqa: S608
        "argMaxIf(built_to, built_at, built_at < newest_at) from ("
        f"select *, max(built_at) over (partition by change_log) as newest_at from {ops}.model_builds "
        "where model = {name:String}) group by change_log",
        parameters={"name": node.name},
    ).result_rows
    days: set[str] = set()
    for change_log, mode, built_to, built_before in builds:
        days |= {
            str(row[0])
            for row in client.query(
                f"select distinct toString(toDate(bucket_at)) from {intermediate}.{change_log} "  # noqa: S608
                "where change_id <= {to:UInt64} and change_id > {before:UInt64}",
                parameters={"to": built_to, "before": 0 if mode == "full" else built_before},
            ).result_rows
        }
    own = {context.partition_key} if context.has_partition_key else set()
    return sorted(day for day in days - own if DAYS.has_partition_key(day))


def _conclude(invocation: DbtCliInvocation, target: Path) -> None:
    results = target / "run_results.json"
    error = invocation.get_error()
    if error is None:
        shutil.rmtree(target, ignore_errors=True)
        return
    if not results.is_file():
        raise Failure(f"dbt did not begin: {error}")
    bad = [one for one in msgspec.json.decode(results.read_bytes(), type=_Results).results if one.is_bad]
    models = [one for one in bad if one.unique_id.split(".")[0] in _BUILD_NODES and one.status != "skipped"]
    if models or not bad:
        words = "; ".join(f"{one.name}: {one.message}" for one in models[:5])
        raise Failure(f"{len(models)} of dbt's models failed: {words or error}")
    tests = [one for one in bad if one.status != "skipped"]
    # Without the hash that dbt puts behind a generic test's name.
    names = "; ".join(one.unique_id.split(".")[2] for one in tests[:10])
    skipped = len(bad) - len(tests)
    raise Failure(
        f"{len(tests)} checks failed, and {skipped} nodes that stand on what they check were skipped: {names}",
        allow_retries=False,
    )
