"""The same bytes for every contestant: simulated events as one file and as the messages of a topic.

Valid events only, once and on time: what is measured is the way in, not the refusing. The producer keeps the file's
order within a partition and spreads blocks of lines over the partitions.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from confluent_kafka import KafkaError, Message

from ingest.kafka import open_producer, producer_config
from ingest.simulate import Simulation, SimulationConfig

_BLOCK = 500


@dataclass(frozen=True, slots=True)
class EventFile:
    """Newline-delimited JSON. `size_bytes` counts the line ends."""

    path: Path
    events: int
    size_bytes: int


def prepare(folder: Path, events: int) -> EventFile:
    """Writes `events` simulated events that end now."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "events.ndjson"
    config = SimulationConfig(end_ms=time.time_ns() // 1_000_000, events=events).without_faults()
    written = 0
    with path.open("wb") as opened:
        for chunk in Simulation(config).chunks():
            opened.write(chunk.lines)
            written += len(chunk)
    return EventFile(path, written, path.stat().st_size)


def read_lines(source: EventFile) -> Iterator[bytes]:
    with source.path.open("rb") as opened:
        for line in opened:
            yield line[:-1]


def produce(bootstrap: str, topic: str, partitions: int, source: EventFile) -> float:
    """Sends the file's lines as messages; the seconds until the broker has acknowledged all."""
    refused: list[KafkaError] = []

    def report(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            refused.append(error)

    tuning = {"linger.ms": "20", "batch.size": "1000000", "queue.buffering.max.messages": "100000"}
    producer = open_producer({**producer_config(bootstrap, {}), **tuning})
    lines, partition = read_lines(source), 0
    started = time.monotonic()
    while block := list(islice(lines, _BLOCK)):
        for line in block:
            while True:
                try:
                    producer.produce(topic, line, partition=partition, on_delivery=report)
                    break
                except BufferError:
                    producer.poll(0.1)
        producer.poll(0)
        partition = (partition + 1) % partitions
    left = producer.flush(120)
    if refused or left:
        raise RuntimeError(
            f"expected every event acknowledged by {bootstrap}, {left} are not; first error: {refused[:1]}"
        )
    return time.monotonic() - started
