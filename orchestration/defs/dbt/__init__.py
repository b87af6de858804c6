"""The models: assets and checks by dagster-dbt, jobs and schedules by family."""

from dagster import Definitions

from orchestration.defs.dbt.assets import dbt_models
from orchestration.defs.dbt.jobs import JOBS, SCHEDULES

definitions = Definitions(assets=[dbt_models], jobs=JOBS, schedules=SCHEDULES)
