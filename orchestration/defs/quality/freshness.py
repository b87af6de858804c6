"""Freshness by the completeness watermark: `fresh` on raw and on every table dbt builds, `newest_bucket` on the marts
that are built by hours or days."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckKey,
    AssetCheckResult,
    AssetCheckSpec,
    AssetKey,
    multi_asset_check,
)

from ingest.settings import load_settings
from orchestration.defs.quality.pipeline import LONGEST_QUERY_S
from orchestration.lib.families import Family
from orchestration.lib.freshness import Watermarks, bucket_fresh, model_fresh, raw_fresh, read_watermarks
from orchestration.lib.manifest import prepare
from orchestration.lib.quality_finding import Finding, Look, check_result, guarded
from orchestration.lib.quality_manifest import BUILT, Node, read_nodes
from orchestration.lib.quality_thresholds import load_thresholds
from orchestration.lib.resources import Clock, MeterhouseResource

FRESH: Final = "fresh"
NEWEST_BUCKET: Final = "newest_bucket"

_Judge = Callable[[Look, Watermarks], Finding]


def _tables() -> list[Node]:
    """What dbt builds from arrivals: views are as fresh as what they read, seeds are edited by people."""
    return [
        node
        for node in read_nodes(prepare(load_settings()))
        if node.resource_type == "model" and node.config.materialized in BUILT
    ]


def _judges() -> dict[AssetCheckKey, _Judge]:
    """Every check and the function that answers it."""
    judges: dict[AssetCheckKey, _Judge] = {
        AssetCheckKey(AssetKey(["raw", name]), FRESH): raw_fresh for name in ("agent_events", "dead_letters")
    }
    for node in _tables():
        key = AssetKey([node.schema, node.name])
        judges[AssetCheckKey(key, FRESH)] = _model(node)
        if node.schema == "marts" and node.config.meta.bucket and node.config.meta.bucket_column:
            judges[AssetCheckKey(key, NEWEST_BUCKET)] = _bucket(node)
    return judges


def _model(node: Node) -> _Judge:
    family = Family(node.config.meta.family or Family.HOURLY)
    return lambda look, watermarks: model_fresh(look, watermarks, node, family)


def _bucket(node: Node) -> _Judge:
    return lambda look, watermarks: bucket_fresh(look, watermarks, node)


JUDGES: Final[Mapping[AssetCheckKey, _Judge]] = _judges()
_WORDS: Final = {
    FRESH: "How far what the table has is behind the clock, by the completeness watermark its last build saw.",
    NEWEST_BUCKET: "The newest hour or day that should be whole is in, which a backfill of an old one cannot feign.",
}


@multi_asset_check(
    name="freshness",
    specs=[AssetCheckSpec(key.name, asset=key.asset_key, description=_WORDS[key.name]) for key in JUDGES],
    can_subset=True,
)
def freshness(
    context: AssetCheckExecutionContext, meterhouse: MeterhouseResource, clock: Clock
) -> Iterator[AssetCheckResult]:
    """One look at the watermarks for all of them, so that they agree."""
    settings, thresholds, now = meterhouse.settings, load_thresholds(), clock.now()
    with meterhouse.client(request_timeout_s=LONGEST_QUERY_S) as client:
        look = Look(settings, client, now, thresholds)
        watermarks = read_watermarks(client, settings)
        for key in sorted(context.selected_asset_check_keys):
            found = guarded(lambda key=key: JUDGES[key](look, watermarks))  # type: ignore[misc]  # bound at once
            yield check_result(found, key.asset_key, key.name)


CHECKS: Final = [freshness]
