"""Hands messages to Kafka and waits for the acknowledgement, on the event loop, without a thread a request.

In: a topic, a key, values. Out of `send`: nothing once every in-sync replica has all of them; else a Refusal (503), and
the sender may send all again. librdkafka's own thread does the sending; its callbacks run in `poll`, which a timer of
the loop calls while anything is outstanding. What waits is bounded in bytes and messages before librdkafka's queue is.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from ingest.api.metrics import Metric, Metrics
from ingest.api.refusal import Refusal, overloaded
from ingest.kafka import KafkaAdmin, TopicSpec, open_producer, producer_config
from ingest.kafka_errors import ErrorLog
from ingest.settings import Settings

log = structlog.get_logger()

_POLL_EVERY_S: Final = 0.001
_POLL_IDLE_S: Final = 0.25
_MEND_EVERY_S: Final = 5.0
# What librdkafka keeps of a message beside its bytes, roughly.
_OVERHEAD_BYTES: Final = 150
Headers = Sequence[tuple[str, bytes]]


class _Batch:
    """Messages whose acknowledgements come together."""

    __slots__ = ("bytes", "count", "errors", "future", "left")

    def __init__(self, count: int, size: int, future: "asyncio.Future[None]") -> None:
        self.count = self.left = count
        self.bytes = size
        self.future = future
        self.errors: list[KafkaError] = []


class DoorProducer:
    """One producer for the whole process. All methods belong to the event loop's thread."""

    def __init__(self, settings: Settings, topics: Sequence[str], metrics: Metrics) -> None:
        """`topics`: names with their prefix, made where they are missing."""
        self._settings = settings
        self.topics = tuple(topics)
        self._metrics = metrics
        self._producer = self._open()
        self._retired: list[Producer] = []
        self._is_fatal = False
        self._timer: asyncio.TimerHandle | None = None
        self._is_polling = False
        self._mending: asyncio.Task[None] | None = None
        self._mended_at = -_MEND_EVERY_S
        self.messages = 0
        self.bytes = 0
        self.is_answering = False
        """Whether Kafka acknowledged what it was last given, or answered when it was last asked."""

    def _open(self) -> Producer:
        settings = self._settings
        # Ours come first (`kafka_options` may override): a batch's share of the acknowledgement's time, a small linger
        # since requests wait for it, and a queue that is never full before our own bounds are.
        tuning = {
            "linger.ms": "5",
            "delivery.timeout.ms": str(round(settings.api_ack_timeout_s * 1000)),
            "request.timeout.ms": str(round(min(settings.api_ack_timeout_s, 30.0) * 1000)),
            "queue.buffering.max.messages": str(settings.api_queue_messages * 2),
            "queue.buffering.max.kbytes": str(settings.api_queue_bytes * 2 // 1024),
            "batch.num.messages": "20000",
            "message.max.bytes": str(max(settings.api_message_bytes, settings.event_max_bytes) + 16_384),
        }
        unset = {name: value for name, value in tuning.items() if name not in settings.kafka_options}
        config = {**producer_config(settings.bootstrap, settings.kafka_options, client_id="meterhouse-door"), **unset}
        complaints = ErrorLog()

        def on_error(error: KafkaError) -> None:
            complaints(error)
            if error.fatal():
                self._is_fatal = True

        return open_producer(config, on_error)

    async def send(self, topic: str, key: bytes, values: Sequence[bytes], headers: Headers = ()) -> None:
        """Returns when Kafka has all. Raises Refusal: nothing is known to be lost, all may be sent again."""
        if not values:
            return
        size = sum(map(len, values)) + len(values) * _OVERHEAD_BYTES
        settings = self._settings
        if (self.bytes + size > settings.api_queue_bytes and self.messages) or self.messages + len(
            values
        ) > settings.api_queue_messages:
            raise overloaded("queue_full", "Too much waits for Kafka's acknowledgement.", 2.0)
        if self._is_fatal:
            self._replace()
        loop = asyncio.get_running_loop()
        batch = _Batch(len(values), size, loop.create_future())
        self.messages += batch.count
        self.bytes += size
        started = time.perf_counter()
        self._hand_over(topic, key, values, headers, batch)
        self._poll_soon()
        try:
            async with asyncio.timeout(settings.api_ack_timeout_s):
                await asyncio.shield(batch.future)
        except TimeoutError:
            self._look_after()
            raise _unacknowledged("no acknowledgement in time") from None
        self._metrics.observe(Metric.ACK_SECONDS, time.perf_counter() - started)
        if batch.errors:
            self._look_after(batch.errors[0])
            raise _unacknowledged(batch.errors[0].name())
        self.is_answering = True

    def _hand_over(self, topic: str, key: bytes, values: Sequence[bytes], headers: Headers, batch: _Batch) -> None:
        def delivered(error: KafkaError | None, _message: Message) -> None:
            self._settle(batch, error)

        if not headers and len(values) > 1:
            rows = [{"value": value, "key": key} for value in values]
            try:
                self._producer.produce_batch(topic, rows, on_delivery=delivered)
            except (BufferError, KafkaException):
                rows = [{"_error": True, **row} for row in rows]  # type: ignore[dict-item]
            for row in rows:
                if "_error" in row:
                    self._settle(batch, _refused_locally(row["_error"]))
            return
        for value in values:
            try:
                self._producer.produce(topic, value, key, headers=list(headers), on_delivery=delivered)
            except (BufferError, KafkaException) as error:
                self._settle(batch, _refused_locally(error))

    def _settle(self, batch: _Batch, error: KafkaError | None) -> None:
        if error is not None:
            batch.errors.append(error)
        batch.left -= 1
        if batch.left == 0:
            self.messages -= batch.count
            self.bytes -= batch.bytes
            if not batch.future.done():
                batch.future.set_result(None)

    def _poll_soon(self) -> None:
        """Polls within a millisecond, also where only the idle timer is set."""
        if not self._is_polling:
            self._is_polling = True
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(_POLL_EVERY_S, self._poll)

    def _poll(self) -> None:
        """Runs the callbacks of what was acknowledged; must not raise, since nothing else would poll again."""
        self._poll_one(self._producer)
        if self._is_fatal:
            self._replace()
        for old in list(self._retired):
            self._poll_one(old)
            if len(old) == 0:
                self._retired.remove(old)
        self._is_polling = bool(self.messages or self._retired)
        delay_s = _POLL_EVERY_S if self._is_polling else _POLL_IDLE_S
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._poll)

    def _poll_one(self, producer: Producer) -> None:
        try:
            producer.poll(0)
        except KafkaException as error:  # how the client tells a fatal error, once, out of poll itself
            log.warning("front_door_producer_failed", code=_code(error))
            self._is_fatal = self._is_fatal or producer is self._producer

    def _replace(self) -> None:
        """After a fatal error (a broker that lost the idempotent producer's state) only a new producer can send."""
        log.warning("front_door_producer_replaced")
        self._is_fatal = False
        self._producer.purge()  # what it holds is refused to its senders, who send it again
        self._retired.append(self._producer)
        self._producer = self._open()

    def _look_after(self, error: KafkaError | None = None) -> None:
        """Not acknowledged: the topic may be gone (a broker that forgets), or Kafka away."""
        self.is_answering = False
        if error is not None and error.fatal():
            self._is_fatal = True
        self.mend_soon()

    def mend_soon(self) -> None:
        """Asks Kafka, in a thread and not too often, for the topics, and makes those that are missing."""
        now = time.monotonic()
        if self._mending is None and now - self._mended_at >= _MEND_EVERY_S:
            self._mended_at = now
            self._mending = asyncio.create_task(self._mend())

    async def _mend(self) -> None:
        try:
            made = await asyncio.to_thread(ensure_topics, self._settings, self.topics, 5.0)
            if made:
                log.info("front_door_topics_made", topics=made)
            self.is_answering = True
        except Exception as error:  # noqa: BLE001  # tried again; /readyz says so meanwhile
            self.is_answering = False
            log.warning("front_door_kafka_away", reason=type(error).__name__)
        finally:
            self._mending = None

    async def close(self, within_s: float) -> int:
        """Waits until all is acknowledged, at most so long; gives how many messages are not."""
        deadline = time.monotonic() + within_s
        while self.messages and time.monotonic() < deadline:
            self._poll_one(self._producer)
            await asyncio.sleep(0.005)
        if self._mending is not None:
            self._mending.cancel()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        left = self.messages
        if left:
            self._producer.purge()
        return left


def ensure_topics(settings: Settings, topics: Sequence[str], timeout_s: float = 10.0) -> list[str]:
    """Makes what is missing; the names made. Raises MeterhouseError."""
    specs = [TopicSpec(name, settings.kafka_partitions, settings.kafka_replication) for name in topics]
    with KafkaAdmin(settings.bootstrap, settings.kafka_options, timeout_s=timeout_s) as admin:
        return admin.ensure_topics(specs)


def _code(error: KafkaException) -> str:
    cause = error.args[0] if error.args else None
    return cause.name() if isinstance(cause, KafkaError) else type(error).__name__


def _refused_locally(error: object) -> KafkaError:
    if isinstance(error, KafkaError):
        return error
    if isinstance(error, KafkaException) and isinstance(error.args[0], KafkaError):
        return error.args[0]
    return KafkaError(KafkaError._QUEUE_FULL)  # noqa: SLF001  # how librdkafka marks errors of the client itself


def _unacknowledged(cause: str) -> Refusal:
    return overloaded(
        "not_acknowledged", f"Kafka did not acknowledge the batch ({cause}). Send it again: it counts once.", 2.0
    )
