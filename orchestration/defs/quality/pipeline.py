"""Checks of what SQL over the models cannot see: one function each, all made into asset checks the same way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dagster import AssetCheckResult, AssetChecksDefinition, AssetKey, asset_check

from orchestration.lib.completeness_check import completeness
from orchestration.lib.manifest import prepare
from orchestration.lib.quality_engine import disk, parts_and_mutations
from orchestration.lib.quality_finding import Finding, Look, check_result, guarded
from orchestration.lib.quality_manifest import manifest_drift, read_nodes
from orchestration.lib.quality_pipeline import consumer_lag, reject_share
from orchestration.lib.quality_prices import price_table_age
from orchestration.lib.quality_thresholds import load_thresholds
from orchestration.lib.resources import Clock, MeterhouseResource

# Scans of raw for completeness, on a large installation.
LONGEST_QUERY_S: Final = 300.0


def drift(look: Look) -> Finding:
    """The manifest is made where it is missing or older than the project."""
    return manifest_drift(look, read_nodes(prepare(look.settings)))


@dataclass(frozen=True)
class Entry:
    """A check: the asset it is shown on, its name, what it looks at."""

    asset: tuple[str, str]
    name: str
    look: Callable[[Look], Finding]
    description: str


EVENTS: Final = ("raw", "agent_events")
ENTRIES: Final = (
    Entry(EVENTS, "consumer_lag", consumer_lag, "Messages on the broker that have not landed, and for how long."),
    Entry(
        EVENTS,
        "completeness",
        completeness,
        "A day and topic: what the broker's offsets say was produced = landed + dead letters, and none is missing.",
    ),
    Entry(
        ("raw", "dead_letters"),
        "reject_share",
        reject_share,
        "Share of the messages that was refused, by class.",
    ),
    Entry(EVENTS, "parts_and_mutations", parts_and_mutations, "Parts and mutations that pile up in the engine."),
    Entry(EVENTS, "disk", disk, "Free space of the engine's disks and of METERHOUSE_HOME."),
    Entry(
        ("intermediate", "model_prices"),
        "price_table_age",
        price_table_age,
        "How old the newest price in force is, and whether the table is what the seed says.",
    ),
    Entry(
        ("marts", "pipeline_health"),
        "manifest_drift",
        drift,
        "Tables, columns and types of the database against dbt's manifest.",
    ),
)


def _check(entry: Entry) -> AssetChecksDefinition:
    @asset_check(asset=AssetKey(entry.asset), name=entry.name, description=entry.description)
    def check(meterhouse: MeterhouseResource, clock: Clock) -> AssetCheckResult:
        def look() -> Finding:
            with meterhouse.client(request_timeout_s=LONGEST_QUERY_S) as client:
                return entry.look(Look(meterhouse.settings, client, clock.now(), load_thresholds()))

        return check_result(guarded(look))

    return check


CHECKS: Final = [_check(entry) for entry in ENTRIES]
