"""What Dagster loads, and that nothing of it went missing."""

from pathlib import Path

import pytest

from ingest.errors import SettingsError
from orchestration.definitions import definitions
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
