"""The load of a round: valid events with known ids and malformed ones, at a steady pace, from a thread of its own.

Idempotent, acknowledged by all; each message's key says what it is, so that reading the topic back tells the truth:
`v:<event id>` or `m:<kind>:<number>`. A fifth of the valid events is from the month before, so that runs span months.
"""

import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from confluent_kafka import KafkaError, Message

from ingest.kafka import open_producer, producer_config

_TICK_S = 0.02
_EVENT_TYPES = ("llm_call", "tool_call", "agent_step", "agent_run_started", "agent_run_finished")
_MALFORMED: dict[str, Callable[[dict[str, object]], bytes]] = {
    "cut_off": lambda event: json.dumps(event).encode()[:-20],
    "no_json": lambda event: b"\x00\xff" + str(event["event_id"]).encode(),
    "no_workspace": lambda event: _spoilt(event, workspace_id=None),
    "nil_id": lambda event: _spoilt(event, event_id=str(uuid.UUID(int=0))),
    "negative": lambda event: _spoilt(event, input_tokens=-1),
    "cache_above_input": lambda event: _spoilt(event, input_tokens=5, cache_read_tokens=6),
    "too_old": lambda event: _spoilt(event, occurred_at="2019-01-01T00:00:00Z"),
    "newer_schema": lambda event: _spoilt(event, schema_version=99),
}


class Load:
    """Sends from `start` until `finish`, which returns when everything is acknowledged."""

    def __init__(self, bootstrap: str, topics: Sequence[str], partitions: int, seed: int, rate: int) -> None:
        self._topics, self._partitions, self._rate = tuple(topics), partitions, rate
        self._random = random.Random(seed)
        # A broker that is killed is away for seconds: what it has not acknowledged is sent again, once.
        self._producer = open_producer({**producer_config(bootstrap, {}), "delivery.timeout.ms": "90000"})
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self.sent = 0
        self.acknowledged: set[str] = set()
        self.failed: list[str] = []

    def start(self) -> None:
        self._thread.start()

    def finish(self, within_s: float = 60.0) -> None:
        """Stops sending and waits for the acknowledgements; raises RuntimeError when some do not come."""
        self._stop.set()
        self._thread.join()
        left = self._producer.flush(within_s)
        if left or self.failed:
            raise RuntimeError(f"expected every message acknowledged, {left} are not; errors: {self.failed[:3]}")

    def _run(self) -> None:
        started = time.monotonic()
        while not self._stop.is_set():
            due = int((time.monotonic() - started) * self._rate)
            # After a pause of the broker the pace goes on; it does not catch up in one burst.
            for _ in range(min(due - self.sent, self._rate // 10)):
                self._send()
            self._producer.poll(0)
            self._stop.wait(_TICK_S)

    def _send(self) -> None:
        marker, body = message(self._random, self.sent)

        def report(error: KafkaError | None, _: Message, marker: str = marker) -> None:
            if error is None:
                self.acknowledged.add(marker)
            else:
                self.failed.append(str(error))

        topic = self._topics[self.sent % len(self._topics)]
        partition = self._random.randrange(self._partitions)
        try:
            self._producer.produce(topic, body, marker.encode(), partition=partition, on_delivery=report)
        except BufferError:
            self._producer.poll(0.1)
            return
        self.sent += 1


def message(draw: random.Random, number: int) -> tuple[str, bytes]:
    """The marker and the body of one message; about one in forty is malformed."""
    event_id = str(uuid.UUID(int=draw.getrandbits(128) | 1 << 100))
    age = timedelta(seconds=draw.random() * 3600, days=35 if draw.random() < 0.2 else 0)
    moment = (datetime.now(UTC) - age).isoformat(timespec="milliseconds")
    event: dict[str, object] = {
        "event_id": event_id,
        "event_type": draw.choice(_EVENT_TYPES),
        "occurred_at": moment,
        "workspace_id": f"workspace-{draw.randrange(8)}",
        "run_id": f"run_{number // 12}",
        "provider": "anthropic",
        "model": "claude-sonnet-5",
        "input_tokens": draw.randrange(100_000),
        "latency_ms": round(draw.random() * 30_000, 2),
        "status": "ok",
        "context": {"step": number % 12, "deploy": "blue"},
    }
    if draw.random() < 0.025:
        kind = draw.choice(sorted(_MALFORMED))
        return f"m:{kind}:{number}", _MALFORMED[kind](event)
    return f"v:{event_id}", json.dumps(event).encode()


def _spoilt(event: dict[str, object], **changes: object) -> bytes:
    return json.dumps(event | changes).encode()
