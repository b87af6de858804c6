"""Tells Kafka how far each partition has landed: a courtesy to other tools, which the loader itself never believes.

In: partitions with their landed prefix. Out: asynchronous commits, and what became of them. Never a synchronous one: in
a rebalance callback it blocks for as long as the broker does, and while a consumer closes it can block for ever, with
Python's lock in hand (librdkafka issue 4884: the group ends below the callback, whose assign() then waits for it).
"""

from collections.abc import Callable, Iterable, Mapping

import structlog
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from ingest.loader.partition import Key, Partition

log = structlog.get_logger()


class Commits:
    """Remembers what each partition was told; a failure makes it be told again."""

    def __init__(self) -> None:
        self._told: dict[Key, int] = {}

    def send(self, commit: Callable[[list[TopicPartition]], object], partitions: Mapping[Key, Partition]) -> None:
        """Commits what has moved since the last time; `commit` is the client's, which returns at once."""
        ahead = {key: one.next_offset for key, one in partitions.items() if one.next_offset > self._told.get(key, 0)}
        if not ahead:
            return
        try:
            commit([TopicPartition(topic, number, offset) for (topic, number), offset in ahead.items()])
        except KafkaException as error:
            log.info("commit_failed", words=error.args[0].str())
            return
        self._told |= ahead

    def heard(self, error: KafkaError | None, offsets: Iterable[TopicPartition]) -> None:
        """The client's on_commit callback."""
        failed = [one for one in offsets if error is not None or one.error is not None]
        for one in failed:
            self._told.pop((one.topic, one.partition), None)
        if failed:
            told = error or failed[0].error
            log.info("commit_failed", words=told.str() if told is not None else "", partitions=len(failed))

    def forget(self, keys: Iterable[Key]) -> None:
        """They are not ours any more."""
        for key in keys:
            self._told.pop(key, None)
