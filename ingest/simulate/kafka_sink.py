"""A simulation into a Kafka topic, which is made if it is not there.

An idempotent producer that waits for all replicas, keyed by workspace, so that a workspace's messages keep their
order. The first message that cannot be delivered stops the simulation with a MeterhouseError; leaving the context
without one means that the broker has every message.
"""

from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError, Message

from ingest.errors import MeterhouseError
from ingest.kafka import KafkaAdmin, TopicSpec, open_producer, producer_config
from ingest.kafka_errors import Complaints, explain, no_answer
from ingest.settings import Settings
from ingest.simulate.stream import Chunk

_FLUSH_DEADLINE_S = 90.0
"""Above the producer's own delivery timeout, whose error says more."""
_POLL_EVERY = 2_048
_TUNING = {"linger.ms": "20", "queue.buffering.max.messages": "200000", "queue.buffering.max.kbytes": "131072"}


class KafkaSink:
    """Takes chunks in order. `acknowledged` counts what the broker has."""

    def __init__(self, settings: Settings, topic: str, *, connect_timeout_s: float = 10.0) -> None:
        self._settings, self._topic, self._bootstrap = settings, topic, settings.bootstrap
        self._connect_timeout_s = connect_timeout_s
        self._complaints = Complaints()
        self._refused: KafkaError | None = None
        self.acknowledged = 0
        tuning = {name: value for name, value in _TUNING.items() if name not in settings.kafka_options}
        config = producer_config(self._bootstrap, settings.kafka_options, client_id="meterhouse-simulate")
        # Silent: what goes wrong comes back as a sentence, not as lines on stderr.
        self._producer = open_producer({**config, **tuning, "log_level": "0"}, self._complaints)

    def __enter__(self) -> Self:
        settings = self._settings
        with KafkaAdmin(self._bootstrap, settings.kafka_options, timeout_s=self._connect_timeout_s) as admin:
            admin.ensure_topics([TopicSpec(self._topic, settings.kafka_partitions, settings.kafka_replication)])
        return self

    def write(self, chunk: Chunk) -> None:
        values, keys = chunk.values, chunk.keys
        for start in range(0, len(values), _POLL_EVERY):
            part = slice(start, start + _POLL_EVERY)
            for key, value in zip(keys[part], values[part], strict=True):
                self._produce(key, value)
            self._producer.poll(0)
            self._check()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._producer.purge()
            self._producer.flush(1.0)
            return
        left = self._producer.flush(_FLUSH_DEADLINE_S)
        self._check()
        if left:
            raise MeterhouseError(
                f"{left} messages were not acknowledged at {self._bootstrap} within {_FLUSH_DEADLINE_S:.0f} s; "
                f"topic {self._topic} has {self.acknowledged} of this simulation: look at the broker and run it again."
            )

    def _produce(self, key: bytes, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(self._topic, value, key, on_delivery=self._delivered)
            except BufferError:
                # The local queue is full, which bounds our memory: wait until the broker took some.
                self._producer.poll(0.1)
                self._check()
            else:
                return

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self.acknowledged += 1
        elif self._refused is None:
            self._refused = error

    def _check(self) -> None:
        if self._refused is not None:
            doing = f"writing topic {self._topic}, {self.acknowledged} messages of this simulation in"
            expired = self._refused.name() == "_MSG_TIMED_OUT"
            cause = no_answer("no broker took a message in time") if expired else self._refused
            raise explain(cause, self._bootstrap, self._complaints, doing=doing)
