"""How long an event takes from its producer to a query, at a steady pace.

A producer sends valid events at `rate` a second; the loader runs as a process with its default settings; a third party
asks the raw table every 50 ms how far each partition has come. An event counts as queryable at the first answer that
held every offset up to its own; its time begins when it was handed to the producer, before Kafka appended it.
"""

import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from confluent_kafka import KafkaError, Message
from numpy.typing import NDArray

from bench import stand
from bench.contest import Place, loader_environment
from bench.events import EventFile, read_lines
from ingest.embedded import processes
from ingest.kafka import open_producer, producer_config

POLL_S = 0.05
WARM_UP_S = 3.0
_TICK_S = 0.01
_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from produce to queryable over `events` events, those of the first WARM_UP_S left out."""

    rate: float
    events: int
    p50_s: float
    p95_s: float
    p99_s: float
    max_s: float


@dataclass(slots=True)
class _Seen:
    """What the table answered: (monotonic seconds, partition, offsets complete below)."""

    answers: list[tuple[float, int, int]]


def measure(place: Place, source: EventFile, rate: int, seconds: float, partitions: int) -> Latency:
    """Runs the loader under the load. Raises RuntimeError when events do not arrive within a minute."""
    prefix, topic = "bench_pace_", f"{place.topic_prefix}pace"
    stand.make_tables(place.client, prefix)
    stand.make_topics(place.bootstrap, [topic], partitions)
    environment = loader_environment(place, prefix) | {"METERHOUSE_AGENT_EVENT_TOPICS": "pace"}
    log = place.folder / "pace.log"
    loader = stand.start_loader(log, environment)
    seen, stop = _Seen([]), threading.Event()
    watcher = threading.Thread(target=_watch, args=(place, f"{prefix}raw.agent_events", seen, stop), daemon=True)
    try:
        _wait_ready(log)
        watcher.start()
        sent_at = _produce(place.bootstrap, topic, partitions, source, rate, seconds)
        _wait_arrived(seen, sent_at, log)
    finally:
        stop.set()
        if watcher.ident is not None:
            watcher.join()
        loader.terminate()
        loader.wait(60)
        stand.drop_topics(place.bootstrap, [topic])
        stand.drop_tables(place.client, prefix)
    return _summary(seen, sent_at, rate)


def _wait_ready(log: Path) -> None:
    deadline = time.monotonic() + _WAIT_S
    while "took_up" not in log.read_text(encoding="utf-8"):
        if time.monotonic() > deadline:
            raise RuntimeError(f"expected the loader to take up partitions in {_WAIT_S:g} s: {processes.tail(log)}")
        time.sleep(0.05)


def _produce(
    bootstrap: str, topic: str, partitions: int, source: EventFile, rate: int, seconds: float
) -> dict[int, dict[int, float]]:
    """Sends at a steady pace; for each partition and offset when the event was handed over (monotonic seconds)."""
    sent_at: dict[int, dict[int, float]] = defaultdict(dict)
    producer = open_producer(producer_config(bootstrap, {}))
    started, sent, lines = time.monotonic(), 0, read_lines(source)
    while (now := time.monotonic()) - started < seconds:
        due = int((now - started) * rate)
        for _ in range(due - sent):
            line = next(lines, None)
            if line is None:  # more events than the file has: from its beginning
                lines = read_lines(source)
                line = next(lines)
            handed_at = time.monotonic()

            def report(error: KafkaError | None, message: Message, handed_at: float = handed_at) -> None:
                if error is None:
                    sent_at[message.partition() or 0][message.offset() or 0] = handed_at

            producer.produce(topic, line, partition=sent % partitions, on_delivery=report)
            sent += 1
        producer.poll(0)
        time.sleep(_TICK_S)
    producer.flush(60)
    acknowledged = sum(len(offsets) for offsets in sent_at.values())
    if acknowledged != sent:
        raise RuntimeError(f"expected {sent} events acknowledged by {bootstrap}, {acknowledged} are")
    return sent_at


def _watch(place: Place, table: str, seen: _Seen, stop: threading.Event) -> None:
    client = stand.open_client(place.engine_port)
    sql = f"select _partition, max(_offset) + 1, count() from {table} group by _partition"
    try:
        while not stop.is_set():
            began = time.monotonic()
            rows = client.query(sql).result_rows
            answered = time.monotonic()
            # As many rows as offsets: nothing is missing below the highest one.
            seen.answers.extend((answered, int(part), int(end)) for part, end, rows_in in rows if rows_in >= end)
            stop.wait(max(0.0, POLL_S - (answered - began)))
    finally:
        client.close()


def _wait_arrived(seen: _Seen, sent_at: dict[int, dict[int, float]], log: Path) -> None:
    wanted = {partition: max(offsets) + 1 for partition, offsets in sent_at.items()}
    deadline = time.monotonic() + _WAIT_S
    while True:
        reached = {partition: end for _, partition, end in seen.answers[-200:]}
        if all(reached.get(partition, 0) >= end for partition, end in wanted.items()):
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"expected offsets {wanted}, {reached} after {_WAIT_S:g} s: {processes.tail(log)}")
        time.sleep(0.05)


def _summary(seen: _Seen, sent_at: dict[int, dict[int, float]], rate: int) -> Latency:
    first = min(min(offsets.values()) for offsets in sent_at.values())
    parts: list[NDArray[np.float64]] = []
    for partition, offsets in sent_at.items():
        answers = [(at, end) for at, which, end in seen.answers if which == partition]
        ends = np.maximum.accumulate(np.array([end for _, end in answers], dtype=np.int64))
        times = np.array([at for at, _ in answers], dtype=np.float64)
        numbers = np.array(sorted(offsets), dtype=np.int64)
        handed = np.array([offsets[number] for number in numbers.tolist()], dtype=np.float64)
        taken = times[np.searchsorted(ends, numbers, side="right")] - handed
        parts.append(taken[handed - first >= WARM_UP_S])
    taken = np.concatenate(parts)
    p50, p95, p99 = (float(value) for value in np.percentile(taken, [50, 95, 99]))
    return Latency(rate, len(taken), p50, p95, p99, float(taken.max()))
