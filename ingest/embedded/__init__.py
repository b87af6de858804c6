"""Kafka and ClickHouse without installing either, and the stack that keeps them running on this machine."""
