"""Checks: expectations over SQL, the pipeline itself, completeness against the broker, and freshness.

Their thresholds and suites are the files of orchestration/expectations/; docs/quality.md explains each.
"""

from dagster import Definitions

from orchestration.defs.quality.expectations import CHECKS as EXPECTATIONS
from orchestration.defs.quality.freshness import CHECKS as FRESHNESS
from orchestration.defs.quality.jobs import JOBS, SCHEDULES
from orchestration.defs.quality.pipeline import CHECKS as PIPELINE

definitions = Definitions(asset_checks=[*PIPELINE, *FRESHNESS, *EXPECTATIONS], jobs=JOBS, schedules=SCHEDULES)
