"""A simulation into a Kafka topic, which is made if it is not there.

Keyed by workspace, so that a workspace's messages keep their order. The first message that cannot be delivered stops
the simulation with a MeterhouseError; leaving the context without one means that the broker has every message.
"""

from types import TracebackType
from typing import Self

from ingest.errors import MeterhouseError
from ingest.kafka import KafkaAdmin, TopicSpec
from ingest.kafka_sending import FLUSH_DEADLINE_S, Sender
from ingest.settings import Settings
from ingest.simulate.stream import Chunk

_TUNING = {"linger.ms": "20", "queue.buffering.max.messages": "200000", "queue.buffering.max.kbytes": "131072"}


class KafkaSink:
    """Takes chunks in order."""

    def __init__(self, settings: Settings, topic: str, *, connect_timeout_s: float = 10.0) -> None:
        self._settings, self._topic = settings, topic
        self._connect_timeout_s = connect_timeout_s
        self._sender = Sender(
            settings.bootstrap,
            settings.kafka_options,
            client_id="meterhouse-simulate",
            tuning=_TUNING,
            doing=lambda count: f"writing topic {topic}, {count} messages of this simulation in",
        )

    @property
    def acknowledged(self) -> int:
        """What the broker has."""
        return self._sender.acknowledged

    def __enter__(self) -> Self:
        settings = self._settings
        with KafkaAdmin(settings.bootstrap, settings.kafka_options, timeout_s=self._connect_timeout_s) as admin:
            admin.ensure_topics([TopicSpec(self._topic, settings.kafka_partitions, settings.kafka_replication)])
        return self

    def write(self, chunk: Chunk) -> None:
        for key, value in zip(chunk.keys, chunk.values, strict=True):
            self._sender.send(self._topic, value, key)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._sender.abandon()
        elif missing := self._sender.settle():
            raise MeterhouseError(
                f"{missing} messages were not acknowledged at {self._settings.bootstrap} within "
                f"{FLUSH_DEADLINE_S:.0f} s; topic {self._topic} has {self.acknowledged} of this simulation: look at "
                "the broker and run it again."
            )
