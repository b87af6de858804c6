"""Sends messages in bulk and knows which of them the broker has.

An idempotent producer whose bounded queue holds the caller back. In: messages, one by one. Out: counts; the first that
cannot be delivered raises KafkaUnavailableError, at the next call at the latest. `settle` at the end: what is
acknowledged then is on every in-sync replica.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message

from ingest.kafka import open_producer, producer_config
from ingest.kafka_errors import Complaints, explain, no_answer

# Above the producer's own delivery timeout, whose error says more.
FLUSH_DEADLINE_S: Final = 90.0
_LOOK_EVERY: Final = 1_000


class Sender:
    """Not for more than one thread. `acknowledged` of `handed_over` messages are the broker's."""

    def __init__(
        self,
        bootstrap: str,
        options: Mapping[str, str],
        *,
        client_id: str,
        tuning: Mapping[str, str],
        doing: Callable[[int], str],
    ) -> None:
        """`tuning` are librdkafka settings that `options` (the user's) override; `doing` words the attempted work for
        an error, given how many were acknowledged before."""
        self._bootstrap = bootstrap
        self._doing = doing
        self._complaints = Complaints()
        self._refused: KafkaError | None = None
        self.acknowledged = 0
        self.handed_over = 0
        unset = {name: value for name, value in tuning.items() if name not in options}
        # Silent: what goes wrong comes back as a sentence, not as lines on stderr.
        config = {**producer_config(bootstrap, options, client_id=client_id), **unset, "log_level": "0"}
        self._producer = open_producer(config, self._complaints)

    def send(
        self, topic: str, value: bytes | None, key: bytes | None, headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        """Hands one message over; blocks while the queue is full."""
        while True:
            try:
                self._producer.produce(topic, value, key, headers=list(headers), on_delivery=self._delivered)
            except BufferError:  # this bounds our memory: wait until the broker has taken some
                self._producer.poll(0.1)
                self._check()
            except KafkaException as error:
                raise explain(error, self._bootstrap, self._complaints, doing=self._doing(self.acknowledged)) from error
            else:
                break
        self.handed_over += 1
        if self.handed_over % _LOOK_EVERY == 0:
            self._producer.poll(0)
            self._check()

    def settle(self) -> int:
        """Waits for the acknowledgements; gives how many are still missing after FLUSH_DEADLINE_S."""
        self._producer.flush(FLUSH_DEADLINE_S)
        self._check()
        return self.handed_over - self.acknowledged

    def abandon(self) -> None:
        """Drops what is not sent yet."""
        self._producer.purge()
        self._producer.flush(1.0)

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self.acknowledged += 1
        elif self._refused is None:
            self._refused = error

    def _check(self) -> None:
        if self._refused is not None:
            expired = self._refused.name() == "_MSG_TIMED_OUT"
            cause = no_answer("no broker took a message in time") if expired else self._refused
            raise explain(cause, self._bootstrap, self._complaints, doing=self._doing(self.acknowledged))
