"""The raw tables: materialized by draining Kafka, observed where the loader runs as a service.

`arrivals` looks at the loader's own ledger, which is the same whoever loaded: it says what landed since its last tick,
and starts the marts that follow arrivals. It starts nothing when nothing came.
"""

import uuid
from collections.abc import Iterator
from typing import Final

from dagster import (
    AssetExecutionContext,
    AssetMaterialization,
    AssetObservation,
    MaterializeResult,
    RunRequest,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    define_asset_job,
    multi_asset,
    sensor,
)

from orchestration.lib.arrivals import Cursor, decide, read_landed, read_partitions
from orchestration.lib.draining import drain, drained
from orchestration.lib.environments import sensor_status
from orchestration.lib.families import MARTS_AT_MOST_EVERY_S
from orchestration.lib.raw_tables import DEAD_LETTERS, EVENTS, OTLP, row_counts, said_of, specs
from orchestration.lib.resources import Clock, MeterhouseResource
from orchestration.lib.retrying import tried_again
from orchestration.lib.unfinished import unfinished_runs

ROW_COUNT: Final = "dagster/row_count"
# Runs that build what `marts` builds.
_BUILDING: Final = ("marts", "hourly", "everything", "full_refresh")


@multi_asset(
    name="drain_kafka",
    specs=list(specs()),
    can_subset=True,
    pool="loader",
)
def drain_kafka(
    context: AssetExecutionContext, meterhouse: MeterhouseResource, clock: Clock
) -> Iterator[MaterializeResult[None]]:
    """Everything the topics hold now, by the loader, whichever of the tables was asked for."""
    settings = meterhouse.settings
    # Another name each try: what a loader of a name landed is read back by it.
    owner = f"dagster:{context.run.run_id}:{uuid.uuid4().hex[:8]}"
    with tried_again(context, times=2, first_wait_s=10):
        drain(settings, owner, context.log.info)
        with meterhouse.client() as client:
            said = said_of(settings, read_partitions(client, settings), drained(client, settings, owner), clock.now())
            counts = row_counts(client, settings)
    for key in sorted(context.selected_asset_keys):
        yield MaterializeResult(asset_key=key, metadata={**said.get(key, {}), ROW_COUNT: counts.get(key, 0)})


drain_job = define_asset_job("drain", [EVENTS, DEAD_LETTERS, *OTLP], description="Lands what Kafka holds now, and ends")


@sensor(
    name="arrivals",
    job_name="marts",
    minimum_interval_seconds=30,
    default_status=sensor_status("arrivals"),
    description="Observes what the loader landed, and builds the marts when something came",
)
def arrivals(context: SensorEvaluationContext, meterhouse: MeterhouseResource, clock: Clock) -> SensorResult:
    """One look at ops.load_progress."""
    settings, now, cursor = meterhouse.settings, clock.now(), Cursor.read(context.cursor)
    with meterhouse.client(request_timeout_s=10) as client:
        partitions = read_partitions(client, settings)
        running = unfinished_runs(context.instance, *_BUILDING)
        decision = decide(cursor, partitions, now, running, MARTS_AT_MOST_EVERY_S)
        landed = read_landed(client, settings, cursor.seen, partitions)
        counts = row_counts(client, settings) if decision.is_observed else {}
    events: list[AssetMaterialization | AssetObservation] = []
    said = said_of(settings, partitions, landed, now) if decision.is_observed else {}
    for key, metadata in said.items():
        seen = {**metadata, ROW_COUNT: counts.get(key, 0)}
        events.append(AssetObservation(key, metadata=seen))
        # The service loaded it, not a run of Dagster: noted so that the table's age here is its age. Dead letters are
        # as fresh as what might have become some.
        if metadata["rows_landed"] or (key == DEAD_LETTERS and landed):
            events.append(AssetMaterialization(key, metadata={**seen, "landed_by": "the loader as a service"}))
    context.log.info(decision.words)
    if decision.run_key is None:
        return SensorResult(skip_reason=SkipReason(decision.words), asset_events=events, cursor=decision.cursor.text())
    request = RunRequest(
        run_key=decision.run_key, partition_key=now.strftime("%Y-%m-%d"), tags={"meterhouse/why": decision.words}
    )
    return SensorResult(run_requests=[request], asset_events=events, cursor=decision.cursor.text())
