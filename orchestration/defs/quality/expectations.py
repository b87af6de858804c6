"""The suites of orchestration/expectations/suites/ as asset checks, all of a run in one step: Great Expectations takes
seconds to import."""

from collections.abc import Iterator, Mapping
from typing import Final

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckKey,
    AssetCheckResult,
    AssetCheckSpec,
    AssetKey,
    multi_asset_check,
)

from ingest.errors import MeterhouseError
from orchestration.lib.expectations_suites import Suite, load_suites
from orchestration.lib.quality_finding import Finding, Level, Look, check_result
from orchestration.lib.quality_thresholds import load_thresholds
from orchestration.lib.resources import Clock, MeterhouseResource

SUITES: Final[Mapping[AssetCheckKey, Suite]] = {
    AssetCheckKey(AssetKey(suite.asset.split("/")), suite.check): suite for suite in load_suites()
}


@multi_asset_check(
    name="expectations",
    specs=[
        AssetCheckSpec(suite.check, asset=key.asset_key, description=suite.description, metadata={"suite": suite.shown})
        for key, suite in SUITES.items()
    ],
    can_subset=True,
)
def expectations(
    context: AssetCheckExecutionContext, meterhouse: MeterhouseResource, clock: Clock
) -> Iterator[AssetCheckResult]:
    """Runs the selected suites on the newest hour that is wholly in."""
    from orchestration.lib.expectations_check import check_suites, watermark

    selected = {key: SUITES[key] for key in sorted(context.selected_asset_check_keys)}
    keys = {suite.file: key for key, suite in selected.items()}
    try:
        with meterhouse.client() as client:
            look = Look(meterhouse.settings, client, clock.now(), load_thresholds())
            as_of = watermark(look)
            # A file that was edited since the definitions were loaded counts as it is now.
            suites = [read for read in load_suites() if read.file in keys]
            runnable = [suite for suite in suites if as_of is not None or suite.asset.startswith("raw/")]
            for suite, found in check_suites(look, runnable, as_of or clock.now()):
                yield check_result(found, keys[suite.file].asset_key, keys.pop(suite.file).name)
    except MeterhouseError as error:
        unasked = Finding(Level.ERROR, f"could not look: {error}", {"error": str(error)[:1_000]})
    else:
        words = "not enough history: no model is built, or nobody knows yet up to when everything is in"
        unasked = Finding(Level.OK, words, {"weeks_found": 0, "comparisons_judged": 0})
    for file, key in keys.items():
        gone = Finding(Level.ERROR, f"{selected[key].shown} is gone: load the definitions anew", {})
        yield check_result(unasked if file.exists() else gone, key.asset_key, key.name)


CHECKS: Final = [expectations]
