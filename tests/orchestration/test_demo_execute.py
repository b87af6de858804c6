"""A run of the demo: what it did is in the outcome, what it printed is in a file."""

import os
from io import StringIO
from pathlib import Path

import pytest
from dagster import (
    AssetCheckResult,
    AssetCheckSpec,
    AssetKey,
    DagsterInstance,
    Definitions,
    MaterializeResult,
    asset,
)
from rich.console import Console

from orchestration.demo.execute import execute


@asset(check_specs=[AssetCheckSpec("positive", asset="landed")])
def landed() -> MaterializeResult:  # type: ignore[type-arg]  # Dagster knows it only without a parameter
    os.system("echo said by a child")  # noqa: S605  # as dbt's process would
    return MaterializeResult(metadata={"rows": 7}, check_results=[AssetCheckResult(passed=False, metadata={"rows": 7})])


@asset(deps=[landed])
def broken() -> None:
    raise ValueError("no such table")


@asset(deps=[broken])
def behind() -> None: ...


def test_what_was_built_checked_and_broken_is_told_and_the_terminal_stays_clean(
    tmp_path: Path, capfd: "pytest.CaptureFixture[str]"
) -> None:
    definitions = Definitions(assets=[landed, broken, behind])
    log = tmp_path / "logs" / "run.log"
    keys = [AssetKey("landed"), AssetKey("broken"), AssetKey("behind")]
    with DagsterInstance.ephemeral() as instance:
        job = definitions.resolve_implicit_global_asset_job_def()
        outcome = execute(job, keys, instance, Console(file=StringIO()), log)
    assert outcome.metadata == {AssetKey("landed"): {"rows": 7}}
    assert [check.check_name for check in outcome.failed_checks] == ["positive"]
    assert outcome.failures == ["broken: ValueError: no such table"]
    assert outcome.seconds > 0
    assert "said by a child" in log.read_text()
    assert capfd.readouterr().out == ""
