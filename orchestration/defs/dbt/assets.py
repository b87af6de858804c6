"""Every model and seed of dbt, and every test of them, as one step that a job takes a part of.

One step, so that one run is one dbt, with its order and its locks: however the parts are chosen (a family, a person in
the UI, a backfill), no table is built by two at once (macros/buckets/lock.sql), and a test that fails stops what stands
on it.
"""

from collections.abc import Iterator
from typing import Any, Final

from dagster import (
    AssetCheckKey,
    AssetExecutionContext,
    AssetsDefinition,
    BackfillPolicy,
    Config,
)
from pydantic import Field

from ingest.building.dbt import project_folder
from ingest.settings import load_settings
from orchestration.lib import lineage, manifest
from orchestration.lib.building import Project, asks_first, run_dbt, what_to_build
from orchestration.lib.light_dbt import DbtProject, dbt_assets
from orchestration.lib.resources import MeterhouseResource
from orchestration.lib.retrying import tried_again
from orchestration.lib.sizes import log_sizes
from orchestration.lib.translator import Translator

OP: Final = "dbt_models"
# dbt's processes at a time on one machine; dagster.yaml says how many.
POOL: Final = "dbt"


class BuildConfig(Config):
    """What a run may ask for besides its assets and days."""

    full_refresh: bool = Field(default=False, description="Rebuild every bucket of the selected models")
    dry_run: bool | None = Field(
        default=None,
        description="Say what would be built, and how large it is; build nothing. Unset: so in the jobs that ask first",
    )


_settings = load_settings()
_path = manifest.prepare(_settings)
_manifest: Any = manifest.read(_path)
_dbt_project: Final = DbtProject(
    project_dir=project_folder(), target_path=_path.parent, profiles_dir=project_folder() / "profiles"
)
TRANSLATOR: Final = Translator({**_manifest["nodes"], **_manifest["sources"]}, lineage.read(_path))


@dbt_assets(
    manifest=_manifest,
    project=_dbt_project,
    dagster_dbt_translator=TRANSLATOR,
    name=OP,
    pool=POOL,
    # Few days a run, so that a backfill of a year lets the families have their turn.
    backfill_policy=BackfillPolicy.multi_run(max_partitions_per_run=7),
)
def dbt_models(context: AssetExecutionContext, config: BuildConfig, meterhouse: MeterhouseResource) -> Iterator[object]:
    """dbt over what is selected."""
    settings = meterhouse.settings
    build = what_to_build(context, PROJECT, full_refresh=config.full_refresh)
    with tried_again(context, times=1, first_wait_s=15), meterhouse.client() as client:
        if asks_first(context) if config.dry_run is None else config.dry_run:
            log_sizes(context, PROJECT, settings, client)
            return
        yield from run_dbt(context, PROJECT, build, settings, client)


def _tests(definition: AssetsDefinition) -> dict[AssetCheckKey, str]:
    return {spec.key: str(spec.metadata["dagster_dbt/unique_id"]) for spec in definition.check_specs}


PROJECT: Final = Project.of(_manifest, _dbt_project, TRANSLATOR, _tests(dbt_models))
