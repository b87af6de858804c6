"""Reads a round's truth from the broker and its outcome from the engine, into the values of ledger.py."""

import time
from collections.abc import Iterable

from clickhouse_connect.driver.client import Client
from confluent_kafka import TopicPartition

from ingest.kafka import KafkaAdmin, consumer_config, open_consumer
from tests.chaos.ledger import Batch, Found, Sent, Where

_DEADLINE_S = 60.0
_MERGING_TABLES = ("raw.agent_events", "raw.dead_letters", "ops.load_batches", "ops.load_claims")


def stop_merges(client: Client, prefix: str) -> None:
    """Keeps every inserted row as it is, through restarts of the engine too: merges would hide doubled rows."""
    for table in _MERGING_TABLES:
        client.command(
            f"alter table {prefix}{table} modify setting max_bytes_to_merge_at_max_space_in_pool = 1, "
            "max_bytes_to_merge_at_min_space_in_pool = 1"
        )


def read_topics(bootstrap: str, topics: Iterable[str], acknowledged: Iterable[str]) -> Sent:
    """Every message the broker holds in `topics`, by its key."""
    with KafkaAdmin(bootstrap, {}) as admin:
        marks = admin.watermarks(topics)
    consumer = open_consumer(consumer_config(bootstrap, {}, group="chaos-truth"))
    valid: dict[Where, str] = {}
    malformed: dict[Where, str] = {}
    waiting = {key: mark.high for key, mark in marks.items() if mark.high > mark.low}
    deadline = time.monotonic() + _DEADLINE_S
    try:
        consumer.assign([TopicPartition(topic, number, marks[topic, number].low) for topic, number in waiting])
        while waiting:
            if time.monotonic() > deadline:
                raise RuntimeError(f"expected to read the topics to {waiting} within {_DEADLINE_S:g} s")
            for one in consumer.consume(10_000, timeout=0.2):
                topic, partition, offset = one.topic(), one.partition(), one.offset()
                assert one.error() is None, one.error()
                assert topic is not None
                assert partition is not None
                assert offset is not None
                key = one.key()
                kind, _, name = (key if isinstance(key, str) else (key or b"").decode()).partition(":")
                (valid if kind == "v" else malformed)[topic, partition, offset] = name
                if offset + 1 >= waiting.get((topic, partition), offset + 2):
                    del waiting[topic, partition]
    finally:
        consumer.close()
    names = frozenset(marker.partition(":")[2] for marker in acknowledged)
    return Sent(valid, malformed, names)


def read_tables(client: Client, prefix: str) -> Found:
    """Physical rows: no FINAL, and the number of parts that a merge has made, which has to be zero."""
    rows = client.query(
        "select _topic, _partition, _offset, toString(event_id), count() "
        f"from {prefix}raw.agent_events group by 1, 2, 3, 4"
    ).result_rows
    dead = client.query(
        f"select _topic, _partition, _offset, count() from {prefix}raw.dead_letters group by 1, 2, 3"
    ).result_rows
    batches = client.query(
        "select topic, partition, first_offset, last_offset, messages, landed, rejected, lost "
        f"from {prefix}ops.load_batches"
    ).result_rows
    claims = client.query(
        f"select topic, partition, first_offset, count() from {prefix}ops.load_claims group by 1, 2, 3"
    ).result_rows
    merged = client.query(
        "select count() from system.parts where active "
        "and min_block_number < max_block_number and concat(database, '.', table) in {tables:Array(String)}",
        parameters={"tables": [f"{prefix}{table}" for table in _MERGING_TABLES]},
    ).result_rows
    return Found(
        rows={((topic, partition, offset), event_id): count for topic, partition, offset, event_id, count in rows},
        dead={(topic, partition, offset): count for topic, partition, offset, count in dead},
        batches=[Batch(*row) for row in batches],
        claims={(topic, partition, first): count for topic, partition, first, count in claims},
        merged_parts=int(merged[0][0]),
    )
