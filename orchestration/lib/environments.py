"""Which schedules and sensors run where: data, and no default.

METERHOUSE_ENVIRONMENT says which installation this is; Dagster does not load without it, so that nobody's laptop pages
on-call and no production stands still by accident. A schedule or sensor that is not listed here cannot be defined.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from dagster import DefaultScheduleStatus, DefaultSensorStatus

from ingest.errors import SettingsError
from ingest.settings import load_settings


class Environment(StrEnum):
    """An installation. `dev` is a laptop, a test or CI."""

    DEV = "dev"
    STAGING = "staging"
    PROD = "prod"


EVERYWHERE: Final = frozenset(Environment)

# Every schedule and sensor, by name, and where it runs by itself. Elsewhere it can be started by hand in the UI.
RUNS: Final[Mapping[str, frozenset[Environment]]] = {
    "fast_every_minute": EVERYWHERE,
    "hourly": EVERYWHERE,
    "daily": EVERYWHERE,
    "arrivals": EVERYWHERE,
    "housekeeping": EVERYWHERE,
    "prices": EVERYWHERE,
    "check_pipeline_every_ten_minutes": EVERYWHERE,
    "check_expectations_hourly": EVERYWHERE,
    "check_completeness_hourly": EVERYWHERE,
    "check_house_daily": EVERYWHERE,
    # Alerts are judged everywhere; where messages leave the house is deliver_in of alert_routes.yaml.
    "slo_breach": EVERYWHERE,
    "budget": EVERYWHERE,
    "spend_anomaly": EVERYWHERE,
    "ingestion_stalled": EVERYWHERE,
    "dead_letters": EVERYWHERE,
    "asset_freshness": EVERYWHERE,
    "run_failure": EVERYWHERE,
    "alert_delivery": EVERYWHERE,
}


def current_environment() -> Environment:
    """The installation this is. Raises SettingsError where METERHOUSE_ENVIRONMENT is not set."""
    environment = load_settings().environment
    if environment is None:
        raise SettingsError(
            "METERHOUSE_ENVIRONMENT is not set: it decides which schedules and sensors run by themselves. "
            "Set it to dev, staging or prod (`make up` sets dev)."
        )
    return Environment(environment)


def schedule_status(name: str) -> DefaultScheduleStatus:
    """What a schedule of this name starts as here."""
    return DefaultScheduleStatus.RUNNING if _runs(name) else DefaultScheduleStatus.STOPPED


def sensor_status(name: str) -> DefaultSensorStatus:
    """What a sensor of this name starts as here."""
    return DefaultSensorStatus.RUNNING if _runs(name) else DefaultSensorStatus.STOPPED


def _runs(name: str) -> bool:
    if name not in RUNS:
        raise SettingsError(f"{name} is not in orchestration/lib/environments.py: say there where it runs.")
    return current_environment() in RUNS[name]
