"""Sends the messages of an offset range again whose events are not in raw.agent_events.

In: a partition and offsets [first, end). Out: a Tally. An event that has landed is skipped, so that an older copy never
overtakes a correction; what cannot land is left to its dead letter; offsets that retention removed, and those the
loader has not come to yet, are told and left. Everything stays bounded but the ids sent: some 100 bytes each.
"""

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from clickhouse_connect.driver.client import Client
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from rich.console import Console

from ingest.contracts.check import judge
from ingest.contracts.outcome import EventLimits, Refused
from ingest.errors import MeterhouseError, SettingsError
from ingest.kafka import KafkaAdmin, Watermarks, consumer_config, explain, open_consumer
from ingest.kafka_errors import no_answer
from ingest.loader.ledger import Ledger
from ingest.loader.replay import Front, Headers, Tally, loaded_topic, progress_bar, retrier
from ingest.loader.run import Source
from ingest.settings import Settings

_CHUNK_MESSAGES: Final = 5_000
_CHUNK_BYTES: Final = 16 << 20
_SILENCE_S: Final = 30.0
# Time enough for any clock; the window of the settings is looked at after the question whether the event has landed.
_ANY_TIME_MS: Final = 10**14
_LANDED: Final = "it has landed already"


@dataclass(frozen=True)
class OffsetRange:
    """Offsets from `first`, up to but without `end`, of one partition; the topic as people name it."""

    topic: str | None
    partition: int
    first: int
    end: int

    def __post_init__(self) -> None:
        if self.partition < 0:
            raise SettingsError(f"--partition expects 0 or more, came {self.partition}.")
        if not 0 <= self.first < self.end:
            raise SettingsError(
                f"--from and --to expect 0 <= from < to (to is the first offset not replayed), came {self.first} and "
                f"{self.end}."
            )


class RangeReplay:
    """One replay of a range."""

    def __init__(self, settings: Settings, client: Client, wanted: OffsetRange, *, catch_up_s: float = 30.0) -> None:
        """Waits up to `catch_up_s` for the loader to land what is in the partition, corrections among it."""
        self._settings, self._client, self._wanted = settings, client, wanted
        self._catch_up_s = catch_up_s
        self._retrier = retrier(settings)
        self._sent_ids: set[int] = set()
        limits = EventLimits(
            max_age_ms=round(settings.event_max_age_days * 86_400_000),
            max_future_ms=round(settings.event_max_future_s * 1_000),
            max_event_bytes=settings.event_max_bytes,
        )
        self._limits = limits
        self._any_time = replace(limits, max_age_ms=_ANY_TIME_MS, max_future_ms=_ANY_TIME_MS)

    def run(self, console: Console, *, dry_run: bool = False) -> Tally:
        """Sends them, or only counts them. Raises MeterhouseError."""
        tally = Tally()
        topic = loaded_topic(self._settings, self._wanted.topic)
        source, marks = self._source(topic)
        first, end = self._bounded(console, source, marks)
        if first >= end:
            return tally
        if not dry_run:
            self._await_loader(source, marks.high)
        with progress_bar(console, f"replaying {topic}[{source.partition}]") as bar:
            task = bar.add_task("", total=end - first, note="")
            if dry_run:
                for chunk in self._read(topic, first, end):
                    self._handle(chunk, tally, lambda _: None)
                    bar.update(task, completed=_behind(chunk) - first, note=f"{tally.sent:,} to send")
                return tally
            with Front(self._settings, "range") as front:
                for chunk in self._read(topic, first, end):
                    self._handle(chunk, tally, lambda message: _send(front, source, message))
                    bar.update(task, completed=_behind(chunk) - first, note=f"{tally.sent:,} sent")
        return tally

    def _source(self, topic: str) -> tuple[Source, Watermarks]:
        with KafkaAdmin(self._settings.bootstrap, self._settings.kafka_options) as admin:
            described = admin.describe([topic])[topic]
            if self._wanted.partition not in described.partitions:
                raise SettingsError(
                    f"--partition expects one of {topic}'s, 0 to {max(described.partitions)}, came "
                    f"{self._wanted.partition}."
                )
            marks = admin.watermarks([topic])[topic, self._wanted.partition]
        return Source(topic, str(described.topic_id), self._wanted.partition), marks

    def _bounded(self, console: Console, source: Source, marks: Watermarks) -> tuple[int, int]:
        """The part of the range that is there and that the loader has been through; says what it leaves."""
        first, end = max(self._wanted.first, marks.low), min(self._wanted.end, marks.high)
        name = f"{source.topic}[{source.partition}]"

        def say(sentence: str) -> None:
            console.print(sentence, markup=False)

        if self._wanted.first < marks.low:
            say(
                f"Retention has removed {min(marks.low, self._wanted.end) - self._wanted.first:,} offsets of the "
                f"range: {name} begins at {marks.low}."
            )
        if self._wanted.end > marks.high:
            say(f"{name} ends at {marks.high}: later offsets of the range are not written yet.")
        reached = self._reached(source)
        if reached < end:
            say(
                f"The loader has come to offset {reached} of {name}: {end - max(first, reached):,} offsets of the "
                "range will land by themselves (meterhouse load --drain)."
            )
        return first, min(end, reached)

    def _reached(self, source: Source) -> int:
        """The first offset that is not landed for sure."""
        ledger = Ledger(self._client, self._settings.database("ops"), "replay")
        position = self._retrier.call("reading the loader's ledger", lambda: ledger.take_up(source))
        return position.redo[0].run.first if position.redo else position.next_offset or 0

    def _await_loader(self, source: Source, high: int) -> None:
        deadline = time.monotonic() + self._catch_up_s
        while (reached := self._reached(source)) < high:
            if time.monotonic() >= deadline:
                raise MeterhouseError(
                    f"{high - reached:,} messages of {source.topic}[{source.partition}] have not landed yet (offset "
                    f"{reached} of {high}), and a correction among them must not be overtaken by an older copy: run "
                    "`meterhouse load --drain`, or wait for the running loader, then run this again."
                )
            time.sleep(0.5)

    def _read(self, topic: str, first: int, end: int) -> Iterator[list[Message]]:
        """Messages of the range in chunks, in order; gaps in the offsets are no error."""
        settings = self._settings
        config = consumer_config(
            settings.bootstrap, settings.kafka_options, group="meterhouse-replay", embedded=settings.is_kafka_embedded
        )
        # Assigned by hand, never joined; the end of the partition is told, past markers without a message.
        bounds = {"enable.partition.eof": "true", "queued.max.messages.kbytes": "16384"}
        consumer = open_consumer({**config, **bounds})
        try:
            consumer.assign([TopicPartition(topic, self._wanted.partition, first)])
            yield from self._chunks(consumer, end)
        except KafkaException as error:
            raise explain(error, settings.bootstrap, doing=f"reading {topic}[{self._wanted.partition}]") from error
        finally:
            consumer.close()

    def _chunks(self, consumer: Consumer, end: int) -> Iterator[list[Message]]:
        chunk: list[Message] = []
        held, is_through, heard_at = 0, False, time.monotonic()
        while not is_through:
            messages = consumer.consume(500, timeout=0.5)
            if messages:
                heard_at = time.monotonic()
            elif time.monotonic() - heard_at > _SILENCE_S:
                raise KafkaException(no_answer(f"no message for {_SILENCE_S:.0f} s"))
            for message in messages:
                if _position(message, end) >= end:
                    is_through = True
                    break
                if message.error() is None:
                    chunk.append(message)
                    held += len(message.value() or b"")
                    is_through = (message.offset() or 0) + 1 >= end
            if chunk and (is_through or len(chunk) >= _CHUNK_MESSAGES or held >= _CHUNK_BYTES):
                yield chunk
                chunk, held = [], 0
                heard_at = time.monotonic()

    def _handle(self, chunk: list[Message], tally: Tally, send: Callable[[Message], None]) -> None:
        now_ms = time.time_ns() // 1_000_000
        candidates: list[tuple[Message, str, uuid.UUID, int]] = []
        tally.found += len(chunk)
        for message in chunk:
            verdict = judge(message.value() or b"", judged_at_ms=now_ms, limits=self._any_time)
            if isinstance(verdict, Refused):
                tally.refuse(verdict.error_class, f"offset {message.offset()}", verdict.reason)
            else:
                event = verdict.event
                occurred_ms = event.occurred_at if isinstance(event.occurred_at, int) else now_ms
                candidates.append((message, event.workspace_id, uuid.UUID(event.event_id), occurred_ms))
        landed = self._landed({(workspace, event_id) for _, workspace, event_id, _ in candidates})
        for message, workspace, event_id, occurred_ms in candidates:
            identity = hash((workspace, event_id))
            # A later copy of what this replay sent itself is a correction of it, also when ours has landed meanwhile.
            if (workspace, event_id) in landed and identity not in self._sent_ids:
                tally.skipped[_LANDED] += 1
            elif not -self._limits.max_age_ms <= occurred_ms - now_ms <= self._limits.max_future_ms:
                reason = "occurred_at is outside the accepted window by now (METERHOUSE_EVENT_MAX_AGE_DAYS)."
                tally.refuse("outside_time_window", f"offset {message.offset()}", reason)
            else:
                send(message)
                self._sent_ids.add(identity)
                tally.sent += 1

    def _landed(self, identities: set[tuple[str, uuid.UUID]]) -> set[tuple[str, uuid.UUID]]:
        """Those of them that raw.agent_events has."""
        if not identities:
            return set()
        # judge() has let through only [A-Za-z0-9._:-] and hexadecimal: nothing here can end a quoted string.
        workspaces = ", ".join(f"'{name}'" for name in sorted({workspace for workspace, _ in identities}))
        event_ids = ", ".join(f"'{event_id}'" for _, event_id in identities)
        table = f"{self._settings.database('raw')}.agent_events"
        sql = (
            f"select distinct workspace_id, toString(event_id) from {table} "  # noqa: S608
            f"where workspace_id in ({workspaces}) and event_id in ({event_ids})"
        )
        answer = self._retrier.call(
            "asking which events have landed",
            lambda: self._client.query(sql, settings={"max_query_size": 4 << 20, "max_ast_elements": 1_000_000}),
        )
        return {(str(workspace), uuid.UUID(str(event_id))) for workspace, event_id in answer.result_rows}


def _behind(chunk: list[Message]) -> int:
    """The offset after the last of them."""
    return (chunk[-1].offset() or 0) + 1


def _position(message: Message, end: int) -> int:
    """The offset this message or this event of the client stands for; raises for an error that is none of the end."""
    error = message.error()
    if error is None:
        return message.offset() or 0
    if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
        return message.offset() or 0
    if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001
        raise MeterhouseError(
            f"Retention removed offsets of the range below {end} while they were being read: run this again, it goes "
            "on with what is left."
        )
    if error.retriable() or error.code() in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN):  # noqa: SLF001
        return -1
    raise KafkaException(error)


def _send(front: Front, source: Source, message: Message) -> None:
    key = message.key()
    headers: Headers = (
        ("meterhouse-topic", source.topic.encode()),
        ("meterhouse-topic-id", source.topic_id.encode()),
        ("meterhouse-partition", str(source.partition).encode()),
        ("meterhouse-offset", str(message.offset()).encode()),
    )
    front.send(source.topic, message.value(), key.encode() if isinstance(key, str) else key, headers)
