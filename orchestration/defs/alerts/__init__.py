"""Sensors that tell the right person once."""

from dagster import Definitions

definitions = Definitions()
