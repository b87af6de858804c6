"""The end of `meterhouse up`: every asset materialized once, and the address of the page.

In: Settings of a stack that answers. Assets that never were materialized are given to Dagster's own queue as one run,
so that whatever keeps two runs from one table keeps this one too; a run that an interrupted `up` left there is waited
for instead. Out: a line with the address. Assets that could not be built are a MeterhouseError that names them; the
stack stays up.
"""

import time
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Final

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ingest.errors import MeterhouseError
from ingest.settings import Settings
from orchestration.lib.graphql import ask
from orchestration.parts import dagster_home, page
from orchestration.serve import LOCATION, NOTHING_BUILT

TAG: Final = "meterhouse/first_build"
_JOB: Final = "everything"
_UNFINISHED: Final = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED")
# Far above what the slowest model takes; a run that says nothing for so long will not end while one waits.
_SILENT_FOR_S: Final = 900.0
# A page on a machine that is busy may be late with an answer; one that is gone does not come back.
_PAGE_AWAY_FOR_S: Final = 120.0

_RELOAD: Final = """
mutation {
  reloadWorkspace {
    ... on Workspace {locationEntries {name loadStatus locationOrLoadError {... on PythonError {message}}}}
    ... on Error {message}
  }
}
"""
_ASSETS: Final = "{assetNodes {isMaterializable assetKey {path} assetMaterializations(limit: 1) {timestamp}}}"
_RUNS: Final = """
query($filter: RunsFilter) {runsOrError(filter: $filter) {... on Runs {results {runId status}}}}
"""
_LAUNCH: Final = """
mutation($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    ... on LaunchRunSuccess {run {runId status}}
    ... on Error {message}
    ... on RunConfigValidationInvalid {errors {message}}
  }
}
"""
_LOGS: Final = """
query($run: ID!, $after: String) {
  logsForRun(runId: $run, afterCursor: $after, limit: 500) {
    ... on EventConnection {
      cursor
      hasMore
      events {
        kind: __typename
        ... on MaterializationEvent {assetKey {path}}
        ... on AssetCheckEvaluationEvent {evaluation {success severity checkName assetKey {path}}}
        ... on ExecutionStepFailureEvent {error {message}}
        ... on RunFailureEvent {error {message}}
      }
    }
  }
}
"""


class _Key(msgspec.Struct, frozen=True):
    path: tuple[str, ...]


class _Moment(msgspec.Struct):
    timestamp: str


class _LoadError(msgspec.Struct):
    message: str | None = None


class _Location(msgspec.Struct, rename="camel"):
    name: str
    location_or_load_error: _LoadError | None = None


class _Workspace(msgspec.Struct, rename="camel"):
    location_entries: list[_Location] = []
    message: str | None = None


class _Reloaded(msgspec.Struct, rename="camel"):
    reload_workspace: _Workspace


class _Asset(msgspec.Struct, rename="camel"):
    is_materializable: bool
    asset_key: _Key
    asset_materializations: list[_Moment]


class _Assets(msgspec.Struct, rename="camel"):
    asset_nodes: list[_Asset]


class _Run(msgspec.Struct, rename="camel"):
    run_id: str
    status: str


class _Found(msgspec.Struct):
    results: list[_Run]


class _Runs(msgspec.Struct, rename="camel"):
    runs_or_error: _Found


class _Words(msgspec.Struct):
    message: str


class _Launch(msgspec.Struct):
    run: _Run | None = None
    message: str | None = None
    errors: list[_Words] = []


class _Launched(msgspec.Struct, rename="camel"):
    launch_pipeline_execution: _Launch


class _Evaluation(msgspec.Struct, rename="camel"):
    success: bool
    severity: str
    check_name: str
    asset_key: _Key | None = None


class _Event(msgspec.Struct, rename="camel"):
    kind: str
    asset_key: _Key | None = None
    evaluation: _Evaluation | None = None
    error: _Words | None = None


class _Page(msgspec.Struct, rename="camel"):
    cursor: str
    has_more: bool
    events: list[_Event]


class _Logs(msgspec.Struct, rename="camel"):
    logs_for_run: _Page


def first_build(settings: Settings, console: Console) -> None:
    """Builds what never was, waits for it, and says where the page is."""
    address = page(settings)
    _reload(address)
    assets = _assets(address)
    if not assets:
        raise MeterhouseError(f"The stack is up, but Dagster at {address} shows no assets: see its deployment page.")
    missing = [key for key, is_built in assets.items() if not is_built]
    if missing:
        run_id = _unfinished(address) or _launch(address, missing)
        console.print(
            f"Dagster builds {len(missing)} of {len(assets)} assets for the first time, which takes a minute or two: "
            f"{address}/runs/{run_id}",
            markup=False,
        )
        failures = _follow(address, run_id, len(missing), console)
        _has_ended(settings)
        missing = [key for key, is_built in _assets(address).items() if not is_built]
        if missing:
            why = f": {failures[0]}" if failures else ""
            raise MeterhouseError(
                f"The stack is up, but {len(missing)} of {len(assets)} assets were not built, first "
                f"{_name(missing[0])}{why}. See {address}/runs/{run_id}; `meterhouse up` tries those again."
            )
    _has_ended(settings)
    console.print(f"Dagster: {address} (all {len(assets)} assets have been materialized)", markup=False)


def _has_ended(settings: Settings) -> None:
    """Lets schedules and sensors start what they start, also where something could not be built.

    Not before: an `up` that is killed, and the code server with it, leaves a home in which nothing can be built on yet.
    """
    (dagster_home(settings) / NOTHING_BUILT).unlink(missing_ok=True)


def _reload(address: str) -> None:
    """Lets the page see a code server that was started again, and its definitions, and not the one before it."""
    workspace = ask(address, _RELOAD, _Reloaded).reload_workspace
    wrong = [one.location_or_load_error.message for one in workspace.location_entries if one.location_or_load_error]
    said = workspace.message or next(filter(None, wrong), None)
    if said is not None:
        raise MeterhouseError(f"The stack is up, but Dagster at {address} could not load the definitions: {said}")


def _assets(address: str) -> dict[_Key, bool]:
    """Every asset that can be materialized, and whether it was."""
    nodes = ask(address, _ASSETS, _Assets).asset_nodes
    return {one.asset_key: bool(one.asset_materializations) for one in nodes if one.is_materializable}


def _unfinished(address: str) -> str | None:
    """The run that an `up` before this one began and did not see the end of."""
    variables = {"filter": {"tags": [{"key": TAG, "value": "true"}], "statuses": _UNFINISHED}}
    runs = ask(address, _RUNS, _Runs, variables).runs_or_error.results
    return runs[0].run_id if runs else None


def _launch(address: str, keys: Collection[_Key]) -> str:
    """Puts one run of these assets into the queue; returns its id."""
    # Brings Dagster with it, which an `up` with nothing to build need not wait for.
    from orchestration.lib.building import ARRIVALS, BUILD_TAG

    selector = {
        "repositoryLocationName": LOCATION,
        "repositoryName": "__repository__",
        "pipelineName": _JOB,
        "assetSelection": [{"path": key.path} for key in keys],
    }
    tags = {
        TAG: "true",
        BUILD_TAG: ARRIVALS,
        "dagster/partition": f"{datetime.now(UTC):%Y-%m-%d}",
        # The next `up` tries what is missing; Dagster would try all of it again, and hold that `up` back.
        "dagster/max_retries": "0",
    }
    metadata = {"tags": [{"key": name, "value": value} for name, value in tags.items()]}
    params = {"mode": "default", "runConfigData": {}, "selector": selector, "executionMetadata": metadata}
    launch = ask(address, _LAUNCH, _Launched, {"params": params}).launch_pipeline_execution
    if launch.run is None:
        said = launch.message or "; ".join(one.message for one in launch.errors) or "no reason given"
        raise MeterhouseError(f"The stack is up, but Dagster at {address} would not start a build: {said}")
    return launch.run.run_id


def _follow(address: str, run_id: str, total: int, console: Console) -> list[str]:
    """Waits until the run has ended, with a bar; returns what failed in it."""
    columns = (
        TextColumn("building"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[now]}"),
    )
    failures: list[str] = []
    # In a log, a bar is nothing but an empty line.
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total, now="waiting for the queue")
        for event in _events(address, run_id):
            if event.kind == "MaterializationEvent" and event.asset_key is not None:
                bar.update(task, advance=1, now=_name(event.asset_key))
            elif event.error is not None:
                failures.append(event.error.message.strip().splitlines()[0])
    return failures


def _events(address: str, run_id: str) -> Iterator[_Event]:
    """The run's events as they come, until it has ended."""
    cursor, silent_since, answered = None, time.monotonic(), time.monotonic()
    while True:
        try:
            # Asked before the events: when it has ended, they are all there.
            has_ended = not _is_unfinished(address, run_id)
            said = ask(address, _LOGS, _Logs, {"run": run_id, "after": cursor}).logs_for_run
        except MeterhouseError:
            if time.monotonic() - answered > _PAGE_AWAY_FOR_S:
                raise
            time.sleep(2)
            continue
        cursor, answered = said.cursor, time.monotonic()
        yield from said.events
        if said.events:
            silent_since = time.monotonic()
        elif has_ended:
            return
        elif time.monotonic() - silent_since > _SILENT_FOR_S:
            raise MeterhouseError(
                f"The stack is up, but the first build has said nothing for {_SILENT_FOR_S:g} s: see "
                f"{address}/runs/{run_id}. `meterhouse status` says how Dagster's processes are."
            )
        if not said.has_more:
            time.sleep(0.5)


def _is_unfinished(address: str, run_id: str) -> bool:
    runs = ask(address, _RUNS, _Runs, {"filter": {"runIds": [run_id]}}).runs_or_error.results
    return bool(runs) and runs[0].status in (*_UNFINISHED, "CANCELING")


def _name(key: _Key) -> str:
    return "/".join(key.path)
