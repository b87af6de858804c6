"""What Dagster loads, and that nothing of it went missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.errors import SettingsError
from ingest.settings import load_settings
from orchestration.definitions import definitions
from orchestration.lib import manifest
from orchestration.lib.environments import RUNS, current_environment, sensor_status
from orchestration.names import names_of

NAMES = Path(__file__).with_name("names.txt")


def test_no_asset_check_job_schedule_or_sensor_comes_or_goes_unnoticed() -> None:
    assert NAMES.read_text().splitlines() == names_of(definitions), "run python -m orchestration.names and review"


def test_every_schedule_and_sensor_is_in_the_environment_map_and_nothing_else_is() -> None:
    repository = definitions.get_repository_def()
    defined = {one.name for one in repository.schedule_defs} | {one.name for one in repository.sensor_defs}
    assert defined == set(RUNS)


def test_without_an_environment_nothing_is_assumed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("METERHOUSE_ENVIRONMENT")
    with pytest.raises(SettingsError, match="METERHOUSE_ENVIRONMENT is not set"):
        current_environment()


def test_a_sensor_that_the_map_does_not_name_cannot_be_defined() -> None:
    with pytest.raises(SettingsError, match=r"environments\.py"):
        sensor_status("somebody_forgot")


_LOAD = """
import socket, sys

def refuse(*_):
    raise AssertionError("the network was asked while definitions load")

socket.socket.connect = socket.getaddrinfo = refuse
import orchestration.definitions
heavy = {"dbt", "great_expectations", "apprise", "confluent_kafka", "pyarrow", "numpy"} & set(sys.modules)
print("heavy:", sorted(heavy))
"""


def test_definitions_load_without_network_services_secrets_or_heavy_imports() -> None:
    manifest.prepare(load_settings())
    nowhere = {"METERHOUSE_CLICKHOUSE_URL": "http://127.0.0.1:1", "METERHOUSE_KAFKA_BOOTSTRAP": "127.0.0.1:1"}
    done = subprocess.run(
        [sys.executable, "-c", _LOAD], env={**os.environ, **nowhere}, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1:] == ["heavy: []"], done.stderr[-2000:]


def test_a_manifest_is_made_anew_when_a_file_of_the_project_came_changed_or_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    model = project / "models" / "marts" / "one.sql"
    model.parent.mkdir(parents=True)
    model.write_text("select 1")
    made = tmp_path / "manifest.json"
    monkeypatch.setattr(manifest, "project_folder", lambda: project)
    assert not manifest.is_current(made)

    def age() -> None:
        made.write_text("{}")
        for path in (*project.rglob("*"), made):
            os.utime(path, (1, 1))

    other = model.with_name("two.sql")
    for change in (lambda: model.write_text("select 2"), lambda: other.write_text("select 2"), other.unlink):
        age()
        assert manifest.is_current(made)
        change()
        assert not manifest.is_current(made)
