"""What all replays share: the way back through the front, the counts, and the words at the end.

A replay produces messages again to the topic they belong to, with headers that say where they came from; the running
loader lands them like any other, and copies collapse on event_id. Nothing here writes to a raw table. A message counts
as sent when the broker has acknowledged it.
"""

import re
import threading
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

import structlog
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ingest.errors import MeterhouseError, SettingsError
from ingest.kafka import KafkaAdmin, TopicSpec
from ingest.kafka_sending import FLUSH_DEADLINE_S, Sender
from ingest.loader.retry import Retrier, RetryPolicy
from ingest.settings import Settings
from ingest.warehouse_errors import ErrorKind, describe, kind_of

log = structlog.get_logger()

Headers = tuple[tuple[str, bytes], ...]

_TUNING: Final = {
    "linger.ms": "20",
    "queue.buffering.max.messages": "100000",
    "queue.buffering.max.kbytes": "65536",
    # The broker and the topic have the last word on size; librdkafka's own 1 MB would refuse what they once took.
    "message.max.bytes": "100000000",
}
_MOST_EXAMPLES: Final = 5
_AGO: Final = re.compile(r"(\d{1,9})\s*([smhd])")
_UNIT_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass
class Tally:
    """What became of everything a replay looked at: found = sent + skipped + malformed, once it is through."""

    found: int = 0
    sent: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    malformed: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def refuse(self, error_class: str, where: str, reason: str) -> None:
        """Counts one that is not sent since it cannot land; the first few are kept for the person."""
        self.malformed[error_class] += 1
        if len(self.examples) < _MOST_EXAMPLES:
            self.examples.append(f"{where}: {reason}")

    def lines(self, *, dry_run: bool) -> list[str]:
        """The account for a person."""
        verb = "would be sent" if dry_run else "sent"
        unsent = f"{self.skipped.total():,} skipped, {self.malformed.total():,} malformed"
        lines = [f"{self.found:,} found: {self.sent:,} {verb}, {unsent}"]
        lines += [f"  skipped, {reason}: {count:,}" for reason, count in self.skipped.most_common()]
        lines += [f"  malformed, {error_class}: {count:,}" for error_class, count in self.malformed.most_common()]
        lines += [f"    {example}" for example in self.examples]
        return lines


class Front:
    """The way into topics; leaving the context without an error means the broker has every message."""

    def __init__(self, settings: Settings, kind: str) -> None:
        """`kind` goes into the headers: dead-letter, range or file."""
        self.replay_id = uuid.uuid4()
        self._bootstrap = settings.bootstrap
        self._own_headers: Headers = (
            ("meterhouse-replay-id", str(self.replay_id).encode()),
            ("meterhouse-replay-of", kind.encode()),
        )
        self._sender = Sender(
            self._bootstrap,
            settings.kafka_options,
            client_id="meterhouse-replay",
            tuning=_TUNING,
            doing=lambda count: (
                f"replaying, {count} messages acknowledged before (they land once, also when sent again)"
            ),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.settle()
        else:
            self._sender.abandon()

    def send(self, topic: str, value: bytes | None, key: bytes | None, headers: Headers) -> None:
        """Hands one message over; blocks while the producer's bounded queue is full. Raises MeterhouseError."""
        self._sender.send(topic, value, key, (*headers, *self._own_headers))

    def settle(self) -> None:
        """Returns when the broker has acknowledged all that was handed over; MeterhouseError where it does not."""
        if missing := self._sender.settle():
            raise MeterhouseError(
                f"{missing} of {self._sender.handed_over} replayed messages were not acknowledged by Kafka at "
                f"{self._bootstrap} within {FLUSH_DEADLINE_S:.0f} s: look at the broker and run this again; copies "
                "land once."
            )


def loaded_topic(settings: Settings, name: str | None) -> str:
    """The topic's name on the broker, made where it is missing. Raises SettingsError where no loader reads it."""
    chosen = settings.agent_event_topics[0] if name is None else name
    full = settings.topic(chosen)
    if chosen not in settings.agent_event_topics and chosen not in map(settings.topic, settings.agent_event_topics):
        raise SettingsError(
            f"--topic expects a topic that the loader reads ({', '.join(settings.agent_event_topics)}), came {chosen}: "
            "name one of these, or add it to METERHOUSE_AGENT_EVENT_TOPICS first."
        )
    if chosen not in settings.agent_event_topics:
        full = chosen
    with KafkaAdmin(settings.bootstrap, settings.kafka_options) as admin:
        admin.ensure_topics([TopicSpec(full, settings.kafka_partitions, settings.kafka_replication)])
    return full


def retrier(settings: Settings) -> Retrier:
    """For calls to ClickHouse that may be repeated; says each retry in the log."""

    def told(kind: ErrorKind, error: Exception, wait_s: float) -> None:
        log.warning("replay_waits_for_clickhouse", kind=kind.value, error=describe(error), wait_s=round(wait_s, 1))

    policy = RetryPolicy(deadline_s=min(60.0, settings.retry_deadline_s))
    return Retrier(policy, classify=kind_of, stop=threading.Event(), on_retry=told)


def parse_when(text: str, option: str, now_ms: int) -> int:
    """Epoch ms of `2026-11-23`, `2026-11-23T10:00[:30][Z]` (UTC unless it says otherwise) or `90m`, `2h`, `3d` ago."""
    ago = _AGO.fullmatch(text.strip())
    if ago:
        return now_ms - int(ago.group(1)) * _UNIT_MS[ago.group(2)]
    try:
        moment = datetime.fromisoformat(text.strip())
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        return round(moment.timestamp() * 1_000)
    except (ValueError, OverflowError):
        raise SettingsError(
            f"{option} expects a time such as 2026-11-23T10:00Z, or how long ago such as 90m, 2h or 3d, came {text!r}."
        ) from None


def progress_bar(console: Console, what: str) -> Progress:
    """A bar that is gone when the work is; its task's total and progress are the caller's unit."""
    columns = (
        TextColumn(escape(what)),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def conclude(console: Console, tally: Tally, where: str, *, dry_run: bool, load: bool = False) -> None:
    """Prints the account and what to do next."""
    for line in tally.lines(dry_run=dry_run):
        console.print(escape(line))
    if tally.found == 0:
        console.print(f"Nothing matches {escape(where)}: nothing was sent.")
    elif tally.sent and not dry_run and not load:
        console.print("The loader lands them now; without a running one: meterhouse load --drain")
