"""The raw tables: materialized by draining Kafka, observed where the loader runs as a service.

`arrivals` looks at the loader's own ledger, which is the same whoever loaded: it says what landed since its last tick,
and starts the marts that follow arrivals. It starts nothing when nothing came.
"""

import uuid
from collections.abc import Iterator
from typing import Final

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetMaterialization,
    AssetObservation,
    AssetSpec,
    Backoff,
    MaterializeResult,
    RetryPolicy,
    RunRequest,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    define_asset_job,
    multi_asset,
    sensor,
)

from orchestration.lib.arrivals import Cursor, Landed, decide, numbers, read_landed, read_partitions
from orchestration.lib.draining import drain, drained
from orchestration.lib.environments import sensor_status
from orchestration.lib.families import MARTS_AT_MOST_EVERY_S
from orchestration.lib.freshness import policy_for
from orchestration.lib.resources import Clock, MeterhouseResource
from orchestration.lib.unfinished import unfinished_runs

EVENTS: Final = AssetKey(["raw", "agent_events"])
DEAD_LETTERS: Final = AssetKey(["raw", "dead_letters"])
# Runs that build what `marts` builds.
_BUILDING: Final = ("marts", "hourly", "everything", "full_refresh")


@multi_asset(
    name="drain_kafka",
    specs=[
        AssetSpec(
            EVENTS,
            group_name="raw",
            kinds={"kafka", "clickhouse"},
            owners=["team:platform"],
            freshness_policy=policy_for("raw"),
            description="What agents reported, each message once (docs/raw-tables.md). Materializing drains Kafka to "
            "where it stands at the start; a loader that runs as a service is observed by the sensor arrivals.",
        ),
        AssetSpec(
            DEAD_LETTERS,
            group_name="raw",
            kinds={"kafka", "clickhouse"},
            owners=["team:platform"],
            freshness_policy=policy_for("raw"),
            description="What could not be landed, whole, and why (docs/guarantees.md).",
        ),
    ],
    pool="loader",
    retry_policy=RetryPolicy(max_retries=2, delay=10, backoff=Backoff.EXPONENTIAL),
)
def drain_kafka(
    context: AssetExecutionContext, meterhouse: MeterhouseResource, clock: Clock
) -> Iterator[MaterializeResult[None]]:
    """Everything the topics hold now, by the loader."""
    settings = meterhouse.settings
    # Another name each try: what a loader of a name landed is read back by it.
    owner = f"dagster:{context.run.run_id}:{uuid.uuid4().hex[:8]}"
    drain(settings, owner, context.log.info)
    with meterhouse.client() as client:
        done = drained(client, settings, owner)
        partitions = read_partitions(client, settings)
        state = numbers(partitions, Landed(), clock.now())
        tables = {
            str(row[0]): int(row[1] or 0)
            for row in client.query(
                "select name, total_rows from system.tables where database = {database:String}",
                parameters={"database": settings.database("raw")},
            ).result_rows
        }
    shared = {"lag_messages": state["lag_messages"], "complete_to": state["complete_to"], "messages": done.messages}
    yield MaterializeResult(
        asset_key=EVENTS,
        metadata={
            **shared, "rows_landed": done.rows, "rejected": done.rejected, "lost": done.lost,
            "dagster/row_count": tables["agent_events"],
        },
    )  # fmt: skip
    yield MaterializeResult(
        asset_key=DEAD_LETTERS,
        metadata={
            **shared, "rows_landed": done.rejected, "dagster/row_count": tables["dead_letters"],
        },
    )  # fmt: skip


drain_job = define_asset_job("drain", [EVENTS, DEAD_LETTERS], description="Lands what Kafka holds now, and ends")


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
    events: list[AssetMaterialization | AssetObservation] = []
    if decision.is_observed:
        metadata = numbers(partitions, landed, now)
        events.append(AssetObservation(EVENTS, metadata=metadata))
        events.append(AssetObservation(DEAD_LETTERS, metadata={**metadata, "rows_landed": landed.rejected}))
        if landed.rows:
            # The service loaded it, not a run of Dagster: noted so that the table's age here is its age.
            # Both, as a drain does: one of the two alone cannot be asked of it afterwards.
            by_service = {**metadata, "landed_by": "the loader as a service"}
            events.append(AssetMaterialization(EVENTS, metadata=by_service))
            events.append(AssetMaterialization(DEAD_LETTERS, metadata={**by_service, "rows_landed": landed.rejected}))
    context.log.info(decision.words)
    if decision.run_key is None:
        return SensorResult(skip_reason=SkipReason(decision.words), asset_events=events, cursor=decision.cursor.text())
    request = RunRequest(
        run_key=decision.run_key, partition_key=now.strftime("%Y-%m-%d"), tags={"meterhouse/why": decision.words}
    )
    return SensorResult(run_requests=[request], asset_events=events, cursor=decision.cursor.text())
