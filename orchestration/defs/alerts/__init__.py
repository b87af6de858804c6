"""Sensors that tell the right person once: what each of them judges is data in sensors.py."""

from dagster import Definitions

from orchestration.defs.alerts.sensors import SENSORS

definitions = Definitions(sensors=SENSORS)
