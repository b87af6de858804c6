"""Keeps what cannot land: whole, in raw.dead_letters and on `<topic>.dlq`, with where it came from and why.

In: the rejected messages of one run. Out: nothing, or an error for the caller to retry. The table is written once by
its token; the topic gets the same key and payload, and headers that say which message it was, so copies can be told.
Content and identifier attributes are scrubbed before either.
"""

import io
import time
from collections.abc import Sequence
from typing import Final

import msgspec
from clickhouse_connect.driver.client import Client
from confluent_kafka import KafkaError, Message, Producer

from ingest.contracts.privacy import scrub_payload
from ingest.loader.metrics import Metric, Metrics
from ingest.loader.run import Messages, Rejected, Run, Stream
from ingest.loader.times import sql_time
from ingest.warehouse import insert_settings

_LONGEST_ID: Final = 200
_ACK_WAIT_S: Final = 65.0


class DeadLetters:
    """Writes dead letters; threads may share it."""

    def __init__(self, client: Client, table: str, producer: Producer, metrics: Metrics) -> None:
        self._client = client
        self._table = table
        self._producer = producer
        self._metrics = metrics

    def write(
        self,
        stream: Stream,
        run: Run,
        messages: Messages,
        rejected: Sequence[Rejected],
        attempt: int = 0,
        *,
        step: str = "dead",
    ) -> None:
        """To the table, then to the topic; returns when both have them.

        From the second `attempt` on the table is asked too, and gets what it lacks under another token: a token may
        stand without its rows (see ingest/landed.py). The first token comes first all the same, so that an earlier
        request of ours that is still on its way finds it taken.
        """
        scrubbed = [_kept(one, messages.values[one.index] or b"") for one in rejected]
        refused = list(zip(rejected, scrubbed, strict=True))
        self._insert(stream, run, messages, refused, run.token(step))
        if attempt:
            there = self._written(run)
            missing = [one for one in refused if messages.offsets[one[0].index] not in there]
            if missing:
                self._insert(stream, run, messages, missing, f"{run.token(step)}:again{attempt}")
        self._produce(stream, run, messages, rejected, [payload for payload, _ in scrubbed])

    def _insert(
        self,
        stream: Stream,
        run: Run,
        messages: Messages,
        refused: Sequence[tuple[Rejected, tuple[bytes, dict[str, int]]]],
        token: str,
    ) -> None:
        rows = []
        for one, (payload, dropped) in refused:
            event_id, workspace_id = _identity(payload)
            rows.append(
                {
                    "_topic": run.source.topic,
                    "_topic_id": run.source.topic_id,
                    "_partition": run.source.partition,
                    "_offset": messages.offsets[one.index],
                    "_appended_at": sql_time(messages.appended_ms[one.index]),
                    "stream": stream.name,
                    "error_class": one.error_class,
                    "field": one.field,
                    "reason": one.reason,
                    "event_id": event_id,
                    "workspace_id": one.workspace_id or workspace_id,
                    "message_key": _text(messages.keys[one.index]),
                    "payload": _text(payload),
                    "payload_bytes": len(messages.values[one.index] or b""),
                    "is_scrubbed": bool(dropped),
                }
            )
        self._client.raw_insert(
            self._table,
            column_names=list(rows[0]),
            insert_block=io.BytesIO(b"\n".join(msgspec.json.encode(row) for row in rows)),
            settings=insert_settings(self._client, token),
            fmt="JSONEachRow",
        )

    def _written(self, run: Run) -> set[int]:
        rows = self._client.query(
            f"select _offset from {self._table} where _topic = {{topic:String}} "  # noqa: S608  # our own table's name
            "and _topic_id = {topic_id:String} and _partition = {partition:Int32} "
            "and _offset between {first:Int64} and {last:Int64}",
            parameters={
                "topic": run.source.topic,
                "topic_id": run.source.topic_id,
                "partition": run.source.partition,
                "first": run.first,
                "last": run.last,
            },
        ).result_rows
        return {int(offset) for (offset,) in rows}

    def _produce(
        self,
        stream: Stream,
        run: Run,
        messages: Messages,
        rejected: Sequence[Rejected],
        payloads: Sequence[bytes],
    ) -> None:
        failures: list[KafkaError] = []
        waiting = len(rejected)

        def delivered(error: KafkaError | None, _: Message) -> None:
            nonlocal waiting
            waiting -= 1
            if error is not None:
                failures.append(error)

        for one, payload in zip(rejected, payloads, strict=True):
            self._send(stream.dead_letter_topic, payload, messages, one, run, delivered)
        deadline = time.monotonic() + _ACK_WAIT_S
        while waiting > 0 and time.monotonic() < deadline:
            self._producer.poll(0.05)
        if failures or waiting > 0:
            cause = failures[0].str() if failures else f"no acknowledgement in {_ACK_WAIT_S:g} s"
            raise DeadLetterTopicError(
                f"{stream.dead_letter_topic} did not take {len(failures) or waiting} dead letters of {run}: {cause}"
            )
        self._metrics.count(Metric.DEAD_LETTER_PRODUCED, len(rejected), topic=run.source.topic)

    def _send(self, topic: str, payload: bytes, messages: Messages, one: Rejected, run: Run, delivered: object) -> None:
        headers: list[tuple[str, str | bytes | None]] = [
            ("meterhouse-topic", run.source.topic),
            ("meterhouse-topic-id", run.source.topic_id),
            ("meterhouse-partition", str(run.source.partition)),
            ("meterhouse-offset", str(messages.offsets[one.index])),
            ("meterhouse-error-class", one.error_class),
            ("meterhouse-reason", one.reason),
        ]
        while True:
            try:
                self._producer.produce(
                    topic,
                    value=payload,
                    key=messages.keys[one.index],
                    headers=headers,
                    on_delivery=delivered,  # type: ignore[arg-type]  # the stub wants its own alias of this callable
                )
                return
            except BufferError:  # the producer's bounded queue is full: wait for acknowledgements
                self._producer.poll(0.1)


def _kept(one: Rejected, value: bytes) -> tuple[bytes, dict[str, int]]:
    """What to keep of a message, and by rule what was taken out of it."""
    return scrub_payload(value) if one.payload is None else (one.payload, {"payload": 1})


class DeadLetterTopicError(Exception):
    """The dead-letter topic did not acknowledge; worth another try, so it is no MeterhouseError."""


class _Identity(msgspec.Struct):
    event_id: object = ""
    workspace_id: object = ""


_IDENTITY: Final = msgspec.json.Decoder(_Identity)


def _identity(payload: bytes) -> tuple[str, str]:
    """event_id and workspace_id as far as they can be read; from the scrubbed payload, so never an identifier."""
    try:
        read = _IDENTITY.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "", ""
    event_id, workspace_id = (
        one[:_LONGEST_ID] if isinstance(one, str) else "" for one in (read.event_id, read.workspace_id)
    )
    return event_id, workspace_id


def _text(raw: bytes | None) -> str:
    """Bytes as JSON can carry them; what is not UTF-8 is shown as \\xNN, so that nothing of it is lost."""
    return (raw or b"").decode("utf-8", errors="backslashreplace")
