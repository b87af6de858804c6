"""Checks of what SQL over the models cannot see: one function each, all made into asset checks the same way."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Final

from dagster import AssetCheckResult, AssetChecksDefinition, AssetKey, asset_check

from orchestration.lib.quality_finding import Finding, Look, check_result, guarded
from orchestration.lib.quality_thresholds import load_thresholds
from orchestration.lib.resources import Clock, MeterhouseResource

# Scans of raw for completeness, on a large installation.
LONGEST_QUERY_S: Final = 300.0


@dataclass(frozen=True)
class Entry:
    """A check: the asset it is shown on, its name, and where the function is that looks, `module:function`."""

    asset: tuple[str, str]
    name: str
    function: str
    description: str


EVENTS: Final = ("raw", "agent_events")
ENTRIES: Final = (
    Entry(
        EVENTS,
        "consumer_lag",
        "quality_pipeline:consumer_lag",
        "Messages on the broker that have not landed, and for how long.",
    ),
    Entry(
        EVENTS,
        "completeness",
        "completeness_check:completeness",
        "A day and topic: what the broker's offsets say was produced = landed + dead letters, and none is missing.",
    ),
    Entry(
        ("raw", "dead_letters"),
        "reject_share",
        "quality_pipeline:reject_share",
        "Share of the messages that was refused, by class.",
    ),
    Entry(
        EVENTS,
        "parts_and_mutations",
        "quality_engine:parts_and_mutations",
        "Parts and mutations that pile up in the engine.",
    ),
    Entry(EVENTS, "disk", "quality_engine:disk", "Free space of the engine's disks and of METERHOUSE_HOME."),
    Entry(
        ("intermediate", "model_prices"),
        "price_table_age",
        "quality_prices:price_table_age",
        "How old the newest price in force is, and whether the table is what the seed says.",
    ),
    Entry(
        ("marts", "pipeline_health"),
        "manifest_drift",
        "quality_manifest:drift",
        "Tables, columns and types of the database against dbt's manifest.",
    ),
)


def _check(entry: Entry) -> AssetChecksDefinition:
    @asset_check(asset=AssetKey(entry.asset), name=entry.name, description=entry.description)
    def check(meterhouse: MeterhouseResource, clock: Clock) -> AssetCheckResult:
        def look() -> Finding:
            # Only here: a broker's client and the like would be most of what loading the definitions takes.
            module, function = entry.function.split(":")
            answer: Callable[[Look], Finding] = getattr(import_module(f"orchestration.lib.{module}"), function)
            with meterhouse.client(request_timeout_s=LONGEST_QUERY_S) as client:
                return answer(Look(meterhouse.settings, client, clock.now(), load_thresholds()))

        return check_result(guarded(look))

    return check


CHECKS: Final = [_check(entry) for entry in ENTRIES]
