"""Replays on a broker and an engine: what is sent, what is not, what is remembered."""

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from confluent_kafka import Message
from rich.console import Console

from ingest.errors import MeterhouseError, SettingsError
from ingest.kafka import KafkaAdmin, TopicSpec
from ingest.loader.ledger import Ledger
from ingest.loader.replay import Tally
from ingest.loader.replay_dead_letters import DeadLetterFilter, DeadLetterReplay
from ingest.loader.replay_file import FileReplay
from ingest.loader.replay_range import OffsetRange, RangeReplay
from ingest.schema.engines import Layout
from ingest.schema.migrate import migrate
from ingest.settings import Settings
from tests.support.topics import Sent, produce, read

QUIET = Console(quiet=True)


def event(event_id: str | None = None, **fields: object) -> bytes:
    now_ms = int(time.time() * 1000)
    made = {"event_id": event_id or str(uuid.uuid4()), "event_type": "llm_call", "occurred_at": now_ms}
    return json.dumps({**made, "workspace_id": "acme", **fields}).encode()


@pytest.fixture
def ready(settings: Settings, warehouse: Client) -> Settings:
    """Tables, and the topic with three partitions."""
    migrate(warehouse, Layout(settings.database_prefix, "", 90))
    with KafkaAdmin(settings.bootstrap, settings.kafka_options) as admin:
        admin.ensure_topics([TopicSpec(settings.topic("agent_events"), 3)])
    return settings


def refuse(settings: Settings, client: Client, offset: int, payload: bytes, **columns: object) -> None:
    row: dict[str, object] = {"_topic": settings.topic("agent_events"), "_topic_id": "t", "_partition": 1}
    row |= {
        "_offset": offset,
        "_appended_at": 0,
        "error_class": "bad_time",
        "message_key": "acme",
        "payload": payload.decode(),
    }
    row |= {"reason": "occurred_at: expected RFC 3339", "workspace_id": "acme", **columns}
    Ledger(client, "", "test").insert(f"{settings.database('raw')}.dead_letters", [row], f"test:{uuid.uuid4()}")


def ends(settings: Settings) -> dict[int, int]:
    with KafkaAdmin(settings.bootstrap, settings.kafka_options) as admin:
        marks = admin.watermarks([settings.topic("agent_events")])
    return {partition: mark.high for (_, partition), mark in marks.items()}


def _pairs(message: Message) -> Iterator[tuple[str, bytes]]:
    headers = message.headers() or []
    for name, value in headers.items() if isinstance(headers, dict) else headers:
        if isinstance(value, bytes):
            yield name, value


def arrived(settings: Settings) -> list[tuple[bytes, dict[str, bytes]]]:
    """Values and headers of all messages, partition by partition."""
    found = []
    for partition, end in ends(settings).items():
        for message in read(settings.bootstrap, settings.topic("agent_events"), partition, end) if end else []:
            headers = dict(_pairs(message))
            found.append((message.value() or b"", headers))
    return found


def replay_letters(settings: Settings, client: Client, **wanted: object) -> Tally:
    return DeadLetterReplay(settings, client, DeadLetterFilter(**wanted)).run(QUIET)  # type: ignore[arg-type]


def remembered(settings: Settings, client: Client) -> list[int]:
    sql = f"select _offset from {settings.database('ops')}.dead_letter_replays order by _offset"
    return [int(offset) for (offset,) in client.query(sql).result_rows]


def test_dead_letters_go_back_whole_with_their_origin_and_only_once(ready: Settings, warehouse: Client) -> None:
    payloads = [event(), b"not json", event(agent="ümlaut")]
    for offset, payload in enumerate(payloads):
        refuse(ready, warehouse, offset, payload)
    tally = replay_letters(ready, warehouse)
    assert (tally.found, tally.sent) == (3, 3)
    came = arrived(ready)
    assert [value for value, _ in came] == payloads
    assert [headers["meterhouse-offset"] for _, headers in came] == [b"0", b"1", b"2"]
    assert {headers["meterhouse-replay-of"] for _, headers in came} == {b"dead-letter"}
    assert remembered(ready, warehouse) == [0, 1, 2]
    assert replay_letters(ready, warehouse).found == 0
    assert len(arrived(ready)) == 3
    assert replay_letters(ready, warehouse, again=True, limit=2).sent == 2
    assert len(arrived(ready)) == 5


def test_filters_choose_and_a_dry_run_sends_nothing(ready: Settings, warehouse: Client) -> None:
    refuse(ready, warehouse, 1, event(), error_class="too_deep", reason="context: expected depth 4")
    refuse(ready, warehouse, 2, event(), workspace_id="other")
    refuse(ready, warehouse, 3, event())
    wanted = DeadLetterFilter(topic="agent_events")
    dry = DeadLetterReplay(ready, warehouse, wanted).run(QUIET, dry_run=True)
    assert (dry.found, sum(ends(ready).values()), remembered(ready, warehouse)) == (3, 0, [])
    assert replay_letters(ready, warehouse, since_ms=int(time.time() * 1000) + 60_000).found == 0
    assert replay_letters(ready, warehouse, until_ms=1_000).found == 0
    assert replay_letters(ready, warehouse, topic="product_events").found == 0
    assert replay_letters(ready, warehouse, error_class="too_deep").sent == 1
    assert replay_letters(ready, warehouse, workspace="other").sent == 1
    assert replay_letters(ready, warehouse, reason="rfc 3339").sent == 1
    assert remembered(ready, warehouse) == [1, 2, 3]


def test_more_dead_letters_than_one_page_all_go(
    ready: Settings, warehouse: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.loader.replay_dead_letters._PAGE_ROWS", 7)
    monkeypatch.setattr("ingest.loader.replay_dead_letters._CHUNK_BYTES", 500)
    ids = {str(uuid.uuid4()) for _ in range(25)}
    for offset, event_id in enumerate(ids):
        refuse(ready, warehouse, offset, event(event_id))
    assert replay_letters(ready, warehouse).sent == 25
    assert {json.loads(value)["event_id"] for value, _ in arrived(ready)} == ids
    assert remembered(ready, warehouse) == list(range(25))


def loaded_to(settings: Settings, client: Client, partition: int, next_offset: int) -> None:
    """The ledger as if the loader had come so far."""
    with KafkaAdmin(settings.bootstrap, settings.kafka_options) as admin:
        topic = settings.topic("agent_events")
        topic_id = str(admin.describe([topic])[topic].topic_id)
    ops = settings.database("ops")
    row = {"topic": topic, "topic_id": topic_id, "partition": partition, "first_offset": 0}
    row |= {"last_offset": next_offset - 1, "judged_at": 0}
    Ledger(client, ops, "test").insert(f"{ops}.load_batches", [row], f"test:{uuid.uuid4()}")


def land(settings: Settings, client: Client, payload: bytes) -> None:
    Ledger(client, "", "test").insert(
        f"{settings.database('raw')}.agent_events", [json.loads(payload)], f"test:{uuid.uuid4()}"
    )


def test_a_range_sends_what_has_not_landed_and_leaves_the_rest(ready: Settings, warehouse: Client) -> None:
    before, landed, missing, again = event(), event(), event(), str(uuid.uuid4())
    first, correction = event(again, output_tokens=1), event(again, output_tokens=2)
    old = event(occurred_at=1_000_000_000_000)
    messages = [before, landed, missing, b"{broken", first, old, correction, event()]
    produce(ready.bootstrap, ready.topic("agent_events"), [Sent(value, 2, b"acme") for value in messages])
    land(ready, warehouse, landed)
    loaded_to(ready, warehouse, 2, 8)
    wanted = OffsetRange("agent_events", 2, 1, 7)
    dry = RangeReplay(ready, warehouse, wanted).run(QUIET, dry_run=True)
    assert (dry.sent, ends(ready)[2]) == (3, 8)
    tally = RangeReplay(ready, warehouse, wanted).run(QUIET)
    assert (tally.found, tally.sent, tally.skipped.total()) == (6, 3, 1)
    assert tally.malformed == {"malformed_json": 1, "outside_time_window": 1}
    came = [(value, headers["meterhouse-offset"]) for value, headers in arrived(ready) if headers]
    assert came == [(missing, b"2"), (first, b"4"), (correction, b"6")]


def test_a_range_is_bounded_by_what_is_there_and_waits_for_the_loader(ready: Settings, warehouse: Client) -> None:
    produce(ready.bootstrap, ready.topic("agent_events"), [Sent(event(), 0, b"acme") for _ in range(4)])
    assert RangeReplay(ready, warehouse, OffsetRange(None, 0, 0, 4)).run(QUIET).found == 0
    loaded_to(ready, warehouse, 0, 3)
    with pytest.raises(MeterhouseError, match=r"1 messages .* have not landed yet"):
        RangeReplay(ready, warehouse, OffsetRange(None, 0, 0, 4), catch_up_s=0).run(QUIET)
    loaded_to(ready, warehouse, 0, 4)
    assert RangeReplay(ready, warehouse, OffsetRange(None, 0, 2, 1_000)).run(QUIET).sent == 2


@pytest.mark.parametrize(("topic", "partition"), [("product_events", 0), ("agent_events", 3)])
def test_a_range_of_nothing_we_load_is_one_sentence(
    ready: Settings, warehouse: Client, topic: str, partition: int
) -> None:
    with pytest.raises(SettingsError, match="expects"):
        RangeReplay(ready, warehouse, OffsetRange(topic, partition, 0, 1)).run(QUIET)


def test_a_file_goes_to_the_topic_by_workspace_and_what_is_no_event_is_told(ready: Settings, tmp_path: Path) -> None:
    lines = [event(workspace_id=f"w{n % 5}") for n in range(50)]
    path = tmp_path / "events.ndjson"
    path.write_bytes(b"\n".join([*lines[:10], b"[1]", *lines[10:], b'{"event_id":1}', event(unheard_of=1)]) + b"\n")
    assert FileReplay(ready, path, None).run(QUIET, dry_run=True).sent == 51
    assert sum(ends(ready).values()) == 0
    tally = FileReplay(ready, path, "agent_events").run(QUIET)
    assert (tally.found, tally.sent, tally.malformed.total()) == (53, 51, 2)
    assert tally.examples[0].startswith("events.ndjson:11: ")
    came = arrived(ready)
    assert {value for value, _ in came} >= set(lines)
    assert {headers["meterhouse-line"] for _, headers in came} >= {b"1", b"10", b"12", b"53"}
