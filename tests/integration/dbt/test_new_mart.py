"""An analyst's first mart, from the command that writes it to rows, without an edit in between."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.building import new_mart
from ingest.building.dbt import project_folder
from ingest.building.new_mart import NewMart
from ingest.errors import MeterhouseError

PARTS = ("dbt_project.yml", "profiles", "macros", "models", "seeds", "tests/dbt", ".sqlfluff", "dbt-bouncer.yml")
BIN = Path(sys.executable).parent


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project to write into."""
    for part in PARTS:
        source, target = project_folder() / part, tmp_path / part
        if source.is_dir():
            shutil.copytree(source, target)
        elif source.exists():
            shutil.copy(source, target)
    return tmp_path


MARTS = (
    NewMart("calls_by_service_daily", ("day", "workspace_id", "service"), "int_llm_calls", "llm"),
    NewMart("events_by_minute", ("minute", "workspace_id", "event_type"), "int_agent_events", "ops"),
    NewMart("runs_by_route_hourly", ("hour", "workspace_id", "route"), "int_agent_runs", "reliability", "oncall"),
)


def test_what_new_mart_writes_passes_lint_as_it_is(project: Path) -> None:
    written = [new_mart.write(asked, project)[0].relative_to(project) for asked in MARTS]
    style = subprocess.run(
        [BIN / "sqlfluff", "lint", *map(str, written)],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert style.returncode == 0, style.stdout + style.stderr
    flags = ["--profiles-dir", "profiles", "--target-path", "target", "--log-path", "logs"]
    parsed = subprocess.run(
        [sys.executable, "-m", "dbt.cli.main", "parse", *flags],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert parsed.returncode == 0, parsed.stdout
    rules = subprocess.run(
        [BIN / "dbt-bouncer", "run", "--config-file", "dbt-bouncer.yml", "--only", "manifest_checks"],
        cwd=project, capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = rules.stdout + rules.stderr
    assert "SUCCESS=" in said, said
    assert [asked.name for asked in MARTS if asked.name in said] == []


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (NewMart("llm_daily", ("day",)), "already there"),
        (NewMart("Bad Name", ("day",)), "lower case"),
        (NewMart("fresh", ("workspace_id",)), "exactly one of day, hour and minute"),
        (NewMart("fresh", ("day", "hour")), "exactly one of day, hour and minute"),
        (NewMart("fresh", ("day", "colour")), "colour"),
        (NewMart("fresh", ("day",), source="raw"), "--from"),
        (NewMart("fresh", ("day",), folder="misc"), "--folder"),
        (NewMart("fresh", ("day",), owner="me"), "--owner"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value.grain),
)
def test_a_wrong_wish_is_refused_before_anything_is_written(project: Path, asked: NewMart, words: str) -> None:
    before = sorted(project.rglob("*"))
    with pytest.raises(MeterhouseError, match=words):
        new_mart.write(asked, project)
    assert sorted(project.rglob("*")) == before
