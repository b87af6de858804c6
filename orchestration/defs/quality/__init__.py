"""Checks: expectations over SQL, the pipeline itself, completeness against the broker, and freshness."""

from dagster import Definitions

definitions = Definitions()
