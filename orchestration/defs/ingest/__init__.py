"""The raw tables: drained from Kafka, or observed where the loader runs as a service."""

from dagster import Definitions

from orchestration.defs.ingest.jobs import housekeeping, housekeeping_nightly, replay_dead_letters
from orchestration.defs.ingest.raw import arrivals, drain_job, drain_kafka

definitions = Definitions(
    assets=[drain_kafka],
    jobs=[drain_job, housekeeping, replay_dead_letters],
    schedules=[housekeeping_nightly],
    sensors=[arrivals],
)
