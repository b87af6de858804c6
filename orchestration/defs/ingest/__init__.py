"""The raw tables: drained from Kafka, or observed where the loader runs as a service."""

from dagster import Definitions

definitions = Definitions()
