"""Sends dead letters back to the topic they came from, after a fix, and remembers which.

In: a filter. Out: a Tally. Per chunk: read, produce, await the acknowledgements, then note in ops.dead_letter_replays.
A crash between the last two sends a chunk twice, which lands once by event_id. What fails again becomes a new dead
letter at a new offset, and is left for the next replay: only what was refused before this one began is read.
"""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from clickhouse_connect.driver.client import Client
from rich.console import Console

from ingest.errors import SettingsError
from ingest.kafka import KafkaAdmin
from ingest.loader.ledger import Ledger
from ingest.loader.replay import Front, Headers, Tally, progress_bar, retrier
from ingest.loader.streams import all_streams
from ingest.settings import Settings

_KEY: Final = "(_topic, _topic_id, _partition, _offset)"
_AFTER: Final = "({a_topic:String}, {a_topic_id:String}, {a_partition:Int32}, {a_offset:Int64})"
_UP_TO: Final = "({z_topic:String}, {z_topic_id:String}, {z_partition:Int32}, {z_offset:Int64})"
_PAGE_ROWS: Final = 2_000
_CHUNK_BYTES: Final = 16 << 20

Key = tuple[str, str, int, int]
_FIRST: Final[Key] = ("", "", -1, -1)


@dataclass(frozen=True)
class DeadLetterFilter:
    """Which dead letters; None means any. Times are of the refusal, epoch ms, since inclusive and until exclusive."""

    reason: str | None = None
    error_class: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    topic: str | None = None
    workspace: str | None = None
    limit: int | None = None
    again: bool = False

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise SettingsError(f"--limit expects at least 1, came {self.limit}.")
        if self.since_ms is not None and self.until_ms is not None and self.since_ms >= self.until_ms:
            raise SettingsError("--since must be before --until: nothing lies between them.")


@dataclass(frozen=True)
class _Letter:
    key: Key
    error_class: str
    message_key: str
    payload: str


class DeadLetterReplay:
    """One replay. The order is that of topic, partition and offset, so that copies keep theirs."""

    def __init__(self, settings: Settings, client: Client, wanted: DeadLetterFilter) -> None:
        self._settings = settings
        self._client = client
        self._wanted = wanted
        self._retrier = retrier(settings)
        self._table = f"{settings.database('raw')}.dead_letters"
        self._ops = settings.database("ops")
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        self._parameters: dict[str, object] = {}
        self._where = self._conditions()

    def run(self, console: Console, *, dry_run: bool = False) -> Tally:
        """Sends them, or only counts them. Raises MeterhouseError."""
        tally = Tally()
        counts = self._counts()
        total = sum(count for _, _, count in counts)
        if dry_run or not total:
            tally.found = tally.sent = total
            for topic, error_class, count in counts:
                console.print(f"{count:>10,}  {topic}  {error_class}", markup=False)
            return tally
        self._require_topics({topic for topic, _, _ in counts})
        with progress_bar(console, "replaying dead letters") as bar, Front(self._settings, "dead-letter") as front:
            task = bar.add_task("", total=total, note="")
            for number, chunk in enumerate(self._chunks(total)):
                for letter in chunk:
                    key = letter.message_key.encode() or None
                    front.send(letter.key[0], letter.payload.encode(), key, _headers(letter))
                front.settle()
                self._remember(front, number, chunk)
                tally.found += len(chunk)
                tally.sent += len(chunk)
                bar.update(task, completed=tally.sent, note=f"{tally.sent:,} of {total:,}")
        return tally

    def _conditions(self) -> str:
        wanted, given = self._wanted, self._parameters
        # What this replay makes fail again must not be read by it.
        started_ms = self._ask("select toUnixTimestamp64Milli(now64(3))")[0][0]
        given["until"] = min(int(str(started_ms)), wanted.until_ms or 1 << 62)
        conditions = ["_loaded_at < fromUnixTimestamp64Milli({until:Int64})"]
        if wanted.since_ms is not None:
            given["since"] = wanted.since_ms
            conditions.append("_loaded_at >= fromUnixTimestamp64Milli({since:Int64})")
        if wanted.reason is not None:
            given["reason"] = wanted.reason
            conditions.append("positionCaseInsensitiveUTF8(reason, {reason:String}) > 0")
        if wanted.error_class is not None:
            given["error_class"] = wanted.error_class
            conditions.append("error_class = {error_class:String}")
        if wanted.topic is not None:
            given |= {"topic": self._settings.topic(wanted.topic), "bare_topic": wanted.topic}
            conditions.append("_topic in ({topic:String}, {bare_topic:String})")
        if wanted.workspace is not None:
            given["workspace"] = wanted.workspace
            conditions.append("workspace_id = {workspace:String}")
        if not wanted.again:
            replays = f"{self._ops}.dead_letter_replays"
            columns = "_topic, _topic_id, _partition, _offset"
            conditions.append(f"{_KEY} global not in (select {columns} from {replays})")  # noqa: S608
        return " and ".join(conditions)

    def _counts(self) -> list[tuple[str, str, int]]:
        limit = f"order by {_KEY} limit {self._wanted.limit}" if self._wanted.limit else ""
        rows = self._ask(
            "select _topic, error_class, count() from "  # noqa: S608
            f"(select _topic, error_class from {self._table} final where {self._where} {limit}) "
            "group by all order by all",
        )
        return [(str(topic), str(error_class), int(str(count))) for topic, error_class, count in rows]

    def _chunks(self, total: int) -> Iterator[list[_Letter]]:
        """Letters in the order of their key; a chunk has a bounded number of rows and of bytes."""
        after, left = _FIRST, total
        while left > 0:
            rows = self._ask(
                f"select _topic, _topic_id, _partition, _offset, length(payload) from {self._table} final "  # noqa: S608
                f"where {self._where} and {_KEY} > {_AFTER} order by {_KEY} limit {min(left, _PAGE_ROWS)}",
                _named("a", after),
            )
            if not rows:
                return
            left -= len(rows)
            for last in _ends([(_key(row), int(str(row[4]))) for row in rows]):
                yield self._read(after, last)
                after = last

    def _read(self, after: Key, last: Key) -> list[_Letter]:
        rows = self._ask(
            "select _topic, _topic_id, _partition, _offset, error_class, message_key, payload "  # noqa: S608
            f"from {self._table} final where {self._where} and {_KEY} > {_AFTER} and {_KEY} <= {_UP_TO} "
            f"order by {_KEY}",
            {**_named("a", after), **_named("z", last)},
        )
        return [_Letter(_key(row), str(row[4]), str(row[5]), str(row[6])) for row in rows]

    def _remember(self, front: Front, number: int, chunk: list[_Letter]) -> None:
        ledger = Ledger(self._client, self._ops, self._owner)
        rows = [
            {
                "replay_id": str(front.replay_id),
                "_topic": letter.key[0],
                "_topic_id": letter.key[1],
                "_partition": letter.key[2],
                "_offset": letter.key[3],
                "to_topic": letter.key[0],
                "replayed_by": self._owner,
            }
            for letter in chunk
        ]
        if rows:
            token = f"replay:{front.replay_id}:{number}"
            self._retrier.call(
                "noting what was replayed in ops.dead_letter_replays",
                lambda: ledger.insert(f"{self._ops}.dead_letter_replays", rows, token),
            )

    def _require_topics(self, topics: set[str]) -> None:
        read = {stream.topic for stream in all_streams(self._settings)}
        if unread := sorted(topics - read):
            raise SettingsError(
                f"Dead letters of {', '.join(unread)} match, but the loader does not read that topic: choose others "
                "with --topic, or add it to METERHOUSE_AGENT_EVENT_TOPICS, METERHOUSE_OTLP_TRACES_TOPICS or the like."
            )
        with KafkaAdmin(self._settings.bootstrap, self._settings.kafka_options) as admin:
            if gone := sorted(topics - admin.describe(topics).keys()):
                raise SettingsError(
                    f"Dead letters of {', '.join(gone)} match, but Kafka at {self._settings.bootstrap} has no such "
                    "topic: start `meterhouse load` once, which makes it, or choose others with --topic."
                )

    def _ask(self, sql: str, parameters: dict[str, object] | None = None) -> list[tuple[object, ...]]:
        given = {**self._parameters, **(parameters or {})}
        answer = self._retrier.call("reading the dead letters", lambda: self._client.query(sql, parameters=given))
        return [tuple(row) for row in answer.result_rows]


def _key(row: tuple[object, ...]) -> Key:
    return str(row[0]), str(row[1]), int(str(row[2])), int(str(row[3]))


def _named(name: str, key: Key) -> dict[str, object]:
    topic, topic_id, partition, offset = key
    return {
        f"{name}_topic": topic,
        f"{name}_topic_id": topic_id,
        f"{name}_partition": partition,
        f"{name}_offset": offset,
    }


def _ends(sizes: list[tuple[Key, int]]) -> Iterator[Key]:
    """The last key of each chunk of at most _CHUNK_BYTES; one letter above it is a chunk of its own."""
    held = 0
    for position, (_, size) in enumerate(sizes):
        if held and held + size > _CHUNK_BYTES:
            yield sizes[position - 1][0]
            held = 0
        held += max(size, 1)
    if sizes:
        yield sizes[-1][0]


def _headers(letter: _Letter) -> Headers:
    topic, topic_id, partition, offset = letter.key
    return (
        ("meterhouse-topic", topic.encode()),
        ("meterhouse-topic-id", topic_id.encode()),
        ("meterhouse-partition", str(partition).encode()),
        ("meterhouse-offset", str(offset).encode()),
        ("meterhouse-error-class", letter.error_class.encode()),
    )
