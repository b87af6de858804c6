"""Where a simulation goes: an NDJSON file (plain or zstd), or a Kafka topic.

A file is written beside its name and moved there when it is whole. Kafka is written by an idempotent producer that
waits for all replicas; the first message a broker refuses stops the simulation with a MeterhouseError. Pace is kept
in wall time by `Pacer`.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from ingest.errors import MeterhouseError
from ingest.simulate.stream import Chunk

_FLUSH_DEADLINE_S = 60.0
_POLL_EVERY = 2_048


class Sink(Protocol):
    """Takes chunks in order; leaving the context makes them durable or raises."""

    def write(self, chunk: Chunk) -> None: ...


class Pacer:
    """Keeps a stream at `rate` messages a second from its first one on; a rate of None never waits."""

    def __init__(
        self,
        rate: float | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate, self._clock, self._sleep = rate, clock, sleep
        self._started_at: float | None = None
        self._sent = 0

    @property
    def step(self) -> int:
        """Most messages to send at once: a fiftieth of a second's worth, so that a steady load is steady."""
        return 1 << 30 if self._rate is None else max(1, round(self._rate / 50))

    def wait_for(self, messages: int) -> None:
        """Returns when the next `messages` messages are due."""
        if self._rate is None:
            return
        if self._started_at is None:
            self._started_at = self._clock()
        early_s = self._started_at + self._sent / self._rate - self._clock()
        if early_s > 0:
            self._sleep(early_s)
        self._sent += messages


class FileSink:
    """Writes `path`, compressed where it ends in .zst. Raises MeterhouseError where it cannot be written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(path.name + ".part")

    def __enter__(self) -> "FileSink":
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._raw: BinaryIO = self._part.open("wb")
        except OSError as error:
            raise self._failure(error) from None
        self._out: AbstractContextManager[BinaryIO] = nullcontext(self._raw)
        if self._path.suffix == ".zst":
            import zstandard

            # The context frees the stream; one thread and a fixed level keep the bytes the same.
            self._out = zstandard.ZstdCompressor(level=3).stream_writer(self._raw)
        self._file = self._out.__enter__()
        return self

    def write(self, chunk: Chunk) -> None:
        try:
            self._file.write(chunk.lines)
        except OSError as error:
            raise self._failure(error) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._out.__exit__(kind, error, trace)
            self._raw.close()
            if kind is None:
                self._part.replace(self._path)
            else:
                self._part.unlink(missing_ok=True)
        except OSError as failure:
            raise self._failure(failure) from None

    def _failure(self, error: OSError) -> MeterhouseError:
        return MeterhouseError(
            f"Cannot write {self._path}: {error.strerror or error}. Free the disk or name another --out."
        )


class KafkaSink:
    """Produces to one topic, keyed by workspace, so that a workspace's messages keep their order."""

    def __init__(self, bootstrap: str, topic: str, options: Mapping[str, str]) -> None:
        self._topic, self._bootstrap = topic, bootstrap
        self._refused: KafkaError | None = None
        self._unreachable: KafkaError | None = None
        self.acknowledged = 0
        settings: dict[str, str | int | float | bool | Callable[..., None]] = {
            "bootstrap.servers": bootstrap,
            "client.id": "meterhouse-simulate",
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 20,
            "batch.num.messages": 20_000,
            "batch.size": 1 << 20,
            "queue.buffering.max.messages": 200_000,
            "queue.buffering.max.kbytes": 128 << 10,
            "message.timeout.ms": 60_000,
            # librdkafka would repeat each failed connection on stderr; error_cb keeps the last one for our sentence.
            "log_level": 2,
            "partitioner": "murmur2_random",
            **options,
            "on_delivery": self._delivered,
            "error_cb": self._complained,
        }
        self._producer = Producer(settings)

    def __enter__(self) -> "KafkaSink":
        try:
            self._producer.list_topics(self._topic, timeout=10.0)
        except KafkaException as error:
            raise MeterhouseError(
                f"No Kafka broker answers at {self._bootstrap}: {_reason(error.args[0])}. "
                "Start one with `meterhouse embedded kafka` or set METERHOUSE_KAFKA_BOOTSTRAP."
            ) from None
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
                f"{left} messages were not acknowledged by {self._bootstrap} within {_FLUSH_DEADLINE_S:.0f} s; topic "
                f"{self._topic} holds {self.acknowledged} of this simulation. Check the broker and run it again."
            )

    def _produce(self, key: bytes, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(self._topic, value, key)
            except BufferError:
                self._producer.poll(0.1)
                self._check()
            else:
                return

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self.acknowledged += 1
        elif self._refused is None:
            self._refused = error

    def _complained(self, error: KafkaError) -> None:
        self._unreachable = error

    def _check(self) -> None:
        if self._refused is not None:
            because = f"; the client says: {_reason(self._unreachable)}" if self._unreachable else ""
            raise MeterhouseError(
                f"Topic {self._topic} at {self._bootstrap} refused a message after {self.acknowledged} were acknowledged"
                f": {_reason(self._refused)}{because}. Check the broker and run it again."
            )


def _reason(error: KafkaError) -> str:
    return f"{error.str()} ({error.name()})"
