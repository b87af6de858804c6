"""Completeness, the broker's part: how far each partition reaches, where days begin, and messages at given offsets.

In: settings and topic names. Out: plain values. Raises KafkaUnavailableError. A broker whose time index answers
nonsense (the embedded one gives 0 for any time) is found out by asking for the far future, and not believed.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from ingest.kafka import KafkaAdmin, Watermarks, consumer_config, explain, open_consumer
from ingest.kafka_errors import no_answer
from ingest.loader.run import Headers
from ingest.settings import Settings
from orchestration.lib.completeness import SourceKey

ANSWER_WITHIN_S: Final = 10.0
_SILENCE_S: Final = 15.0
_FAR_FUTURE: Final = datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class BrokerView:
    """What the broker says now. `day_starts`: the first offset of a day or later one, only where it can be trusted:
    behind the low watermark, since what retention removed has no time any more."""

    marks: Mapping[SourceKey, Watermarks]
    day_starts: Mapping[SourceKey, Mapping[date, int]] = field(default_factory=dict)


def look_at_broker(settings: Settings, topics: Sequence[str], days: Sequence[date]) -> BrokerView:
    """Watermarks of every partition of the topics that exist, and where the days begin in them."""
    with KafkaAdmin(settings.bootstrap, settings.kafka_options, timeout_s=ANSWER_WITHIN_S) as admin:
        described, marks = admin.describe(topics), admin.watermarks(topics)
    by_source = {
        SourceKey(topic, str(described[topic].topic_id), partition): mark for (topic, partition), mark in marks.items()
    }
    filled = [source for source, mark in by_source.items() if mark.high > mark.low]
    if not filled:
        return BrokerView(by_source)
    consumer = _consumer(settings)
    starts: dict[SourceKey, dict[date, int]] = {}
    try:
        beyond = _offsets_at(consumer, filled, _FAR_FUTURE)
        dated = [source for source in filled if beyond[source] == OFFSET_END]
        for day in days if dated else ():
            midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
            for source, offset in _offsets_at(consumer, dated, midnight).items():
                low, high = by_source[source].low, by_source[source].high
                if offset == OFFSET_END:
                    starts.setdefault(source, {})[day] = high
                elif offset > low or low == 0:
                    starts.setdefault(source, {})[day] = offset
    except KafkaException as error:
        raise explain(error, settings.bootstrap, doing="asking where days begin") from error
    finally:
        consumer.close()
    return BrokerView(by_source, starts)


@dataclass(frozen=True, slots=True)
class ReadMessage:
    """A message as the broker still has it."""

    offset: int
    payload: bytes | None
    headers: Headers | None


def read_offsets(settings: Settings, source: SourceKey, ranges: Sequence[tuple[int, int]]) -> Iterator[ReadMessage]:
    """Every message in the ranges [first, end), ascending; what is no message is not given.

    The ranges must lie within the partition's watermarks. Raises KafkaUnavailableError when nothing comes.
    """
    consumer = _consumer(settings)
    try:
        for first, end in ranges:
            consumer.assign([TopicPartition(source.topic, source.partition, first)])
            yield from _read(consumer, end)
    except KafkaException as error:
        raise explain(error, settings.bootstrap, doing=f"reading {source}") from error
    finally:
        consumer.close()


def _read(consumer: Consumer, end: int) -> Iterator[ReadMessage]:
    heard_at = time.monotonic()
    while True:
        messages = consumer.consume(1_000, timeout=0.5)
        if messages:
            heard_at = time.monotonic()
        elif time.monotonic() - heard_at > _SILENCE_S:
            raise KafkaException(no_answer(f"no message for {_SILENCE_S:.0f} s"))
        for message in messages:
            error, offset = message.error(), message.offset() or 0
            if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001  # librdkafka's own events
                if error.retriable() or error.code() == KafkaError._TRANSPORT:  # noqa: SLF001
                    continue
                raise KafkaException(error)
            if offset >= end or error is not None:
                return
            headers = message.headers()
            yield ReadMessage(offset, message.value(), headers if isinstance(headers, list) else None)
            if offset + 1 >= end:
                return


def _consumer(settings: Settings) -> Consumer:
    config = consumer_config(
        settings.bootstrap,
        settings.kafka_options,
        # Never joined: partitions are assigned by hand.
        group="meterhouse-completeness",
        embedded=settings.is_kafka_embedded,
    )
    return open_consumer({**config, "enable.partition.eof": "true", "queued.max.messages.kbytes": "16384"})


def _offsets_at(consumer: Consumer, sources: Sequence[SourceKey], moment: datetime) -> dict[SourceKey, int]:
    """Per source the first offset whose message is at or after the moment; OFFSET_END where there is none."""
    at_ms = int(moment.timestamp() * 1_000)
    by_place = {(source.topic, source.partition): source for source in sources}
    answers = consumer.offsets_for_times(
        [TopicPartition(topic, number, at_ms) for topic, number in by_place], timeout=ANSWER_WITHIN_S
    )
    for one in answers:
        if one.error is not None:
            raise KafkaException(one.error)
    return {by_place[one.topic, one.partition]: one.offset for one in answers}
