"""The loader against a real engine and a real broker: once, whole, and the same after any restart."""

import dataclasses
import os
import re
import subprocess
import threading
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from clickhouse_connect.driver.client import Client
from confluent_kafka import TopicPartition

from ingest.embedded.processes import METERHOUSE
from ingest.embedded.stack import environment
from ingest.errors import MeterhouseError
from ingest.kafka import KafkaAdmin, TopicSpec, consumer_config, open_consumer, open_producer, producer_config
from ingest.loader.clock import SYSTEM_CLOCK
from ingest.loader.ledger import Ledger
from ingest.loader.rejects import RejectShareError
from ingest.loader.run import Claim, Run, Source
from ingest.loader.service import LoadReport, run_loader
from ingest.schema.engines import Layout
from ingest.schema.migrate import migrate
from ingest.settings import Settings
from tests.unit.contracts.events import payload

BAD = b'{"event_id": "not one", "prompt": "never lands"}'


@pytest.fixture
def house(settings: Settings, warehouse: Client) -> Settings:
    """Two topics of three partitions, the tables, and a quick batch."""
    migrate(warehouse, Layout(settings.database_prefix, "", settings.retention_days), say=lambda _: None)
    made = settings.model_copy(
        update={
            "agent_event_topics": ("agent_events", "agent_events_eu"),
            "batch_age_s": 0.2,
            "progress_interval_s": 1.0,
        }
    )
    with KafkaAdmin(made.bootstrap, made.kafka_options) as admin:
        admin.ensure_topics(TopicSpec(made.topic(name), 3) for name in made.agent_event_topics)
    return made


@dataclasses.dataclass
class Sent:
    """What a test put into Kafka."""

    ids: list[str]

    @property
    def count(self) -> int:
        return len(self.ids)


def send(settings: Settings, events: int, bad: int = 0, topics: Sequence[str] = ("agent_events",)) -> Sent:
    producer = open_producer(producer_config(settings.bootstrap, settings.kafka_options))
    ids = [str(uuid.uuid4()) for _ in range(events)]
    now_ms = SYSTEM_CLOCK.now_ms()
    for at, event_id in enumerate(ids):
        topic = settings.topic(topics[at % len(topics)])
        producer.produce(topic, payload(event_id=event_id, occurred_at=now_ms), partition=at % 3)
    for at in range(bad):
        producer.produce(settings.topic(topics[0]), BAD, partition=at % 3)
    assert producer.flush(30) == 0
    return Sent(ids)


def drain(settings: Settings) -> LoadReport:
    # A group of its own: the embedded broker holds a join back while it waits for members that have left.
    return run_loader(settings.model_copy(update={"consumer_group": f"drain-{uuid.uuid4().hex}"}), drain=True)


def landed_ids(settings: Settings, warehouse: Client) -> list[str]:
    table = f"{settings.database('raw')}.agent_events"
    return sorted(str(row[0]) for row in warehouse.query(f"select event_id from {table}").result_rows)


def count(warehouse: Client, sql: str) -> int:
    return int(warehouse.query(sql).result_rows[0][0])


def source_of(settings: Settings, partition: int) -> Source:
    topic = settings.topic("agent_events")
    with KafkaAdmin(settings.bootstrap, settings.kafka_options) as admin:
        return Source(topic, str(admin.describe([topic])[topic].topic_id), partition)


def test_every_event_of_two_topics_lands_once_and_a_second_run_adds_nothing(house: Settings, warehouse: Client) -> None:
    sent = send(house, 600, bad=12, topics=house.agent_event_topics)
    first = drain(house)
    assert (first.landed, first.rejected, first.lost) == (600, 12, 0)
    assert landed_ids(house, warehouse) == sorted(sent.ids)
    second = drain(house)
    assert (second.messages, second.landed) == (0, 0)
    assert landed_ids(house, warehouse) == sorted(sent.ids)


def test_an_event_comes_out_of_its_table_as_it_was_said(house: Settings, warehouse: Client) -> None:
    event_id = str(uuid.uuid4())
    producer = open_producer(producer_config(house.bootstrap, house.kafka_options))
    said = payload(
        event_id=event_id,
        occurred_at=SYSTEM_CLOCK.now_ms(),
        model="claude-sonnet-4@20250514",
        input_tokens=1_000,
        cache_read_tokens=900,
        cost_usd=0.0123,
        unit_cost_input="0.000003",
        latency_ms=12.5,
        context={"k": "é"},
    )
    producer.produce(house.topic("agent_events"), said, key=b"harbor-logistics", partition=1)
    assert producer.flush(30) == 0
    drain(house)
    columns = "event_id, model, input_tokens, cache_read_tokens, output_tokens, cost_usd, unit_cost_input, latency_ms"
    row = warehouse.query(
        f"select {columns}, context, status, _topic, _partition, _offset, _loaded_at >= _appended_at "
        f"from {house.database('raw')}.agent_events"
    ).result_rows
    assert [str(one) for one in row[0]] == [
        event_id,
        "claude-sonnet-4@20250514",
        "1000",
        "900",
        "None",
        "0.012300000000",
        "0.000003000000",
        "12.5",
        '{"k":"é"}',
        "",
        house.topic("agent_events"),
        "1",
        "0",
        "True" if isinstance(row[0][-1], bool) else "1",
    ]


def test_dead_letters_are_in_the_table_and_on_the_topic_without_their_content(
    house: Settings, warehouse: Client
) -> None:
    send(house, 3, bad=2)
    drain(house)
    drain(house)
    rows = warehouse.query(
        f"select _partition, _offset, error_class, field, payload, payload_bytes, is_scrubbed "
        f"from {house.database('raw')}.dead_letters order by _partition"
    ).result_rows
    assert [(row[0], row[1], row[2], row[3]) for row in rows] == [
        (0, 1, "bad_identifier", "event_id"),
        (1, 1, "bad_identifier", "event_id"),
    ]
    assert all("never lands" not in row[4] and row[5] == len(BAD) and row[6] for row in rows)
    consumer = open_consumer(
        consumer_config(house.bootstrap, house.kafka_options, group=f"{house.topic_prefix}look", embedded=True)
    )
    consumer.assign([TopicPartition(house.topic("agent_events.dlq"), number, 0) for number in range(3)])
    letters = [one for one in consumer.consume(10, timeout=5) if one.error() is None]
    consumer.close()
    assert len(letters) == 2
    assert all(b"never lands" not in (one.value() or b"") for one in letters)
    assert {dict(one.headers() or [])["meterhouse-offset"] for one in letters} == {b"1"}


def test_a_run_that_was_claimed_and_not_finished_is_redone_with_the_very_bounds_of_the_claim(
    house: Settings, warehouse: Client
) -> None:
    sent = send(house, 300)
    source = source_of(house, 0)
    ledger = Ledger(warehouse, house.database("ops"), "a loader that died")
    assert ledger.claim(Run(source, 0, 41), SYSTEM_CLOCK.now_ms()).run.last == 41
    drain(house)
    assert landed_ids(house, warehouse) == sorted(sent.ids)
    runs = warehouse.query(
        f"select first_offset, last_offset from {house.database('ops')}.load_batches where partition = 0 "
        f"and topic = '{source.topic}' order by first_offset"
    ).result_rows
    assert [tuple(run) for run in runs] == [(0, 41), (42, 99)]


def test_rows_that_landed_before_the_crash_do_not_land_again(house: Settings, warehouse: Client) -> None:
    sent = send(house, 300)
    drain(house)
    warehouse.command(f"truncate table {house.database('ops')}.load_batches")
    warehouse.command(f"truncate table {house.database('ops')}.load_progress")
    report = drain(house)  # all claims stand, none is done: every run is redone
    assert report.messages == 300
    assert landed_ids(house, warehouse) == sorted(sent.ids)


def test_whoever_claims_an_offset_second_learns_the_claim_of_the_first(house: Settings, warehouse: Client) -> None:
    source = source_of(house, 1)
    ledgers = [Ledger(warehouse, house.database("ops"), f"loader {at}") for at in range(6)]
    claims: list[Claim] = []
    threads = [
        threading.Thread(target=lambda one=one, at=at: claims.append(one.claim(Run(source, 0, 10 + at), 1_000 + at)))
        for at, one in enumerate(ledgers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claims) == 6
    assert len(set(claims)) == 1
    assert claims[0].run.last == 10 + claims[0].judged_at_ms - 1_000


def test_a_topic_made_anew_starts_from_its_first_offset(house: Settings, warehouse: Client) -> None:
    before = send(house, 30)
    drain(house)
    with KafkaAdmin(house.bootstrap, house.kafka_options) as admin:
        admin.delete_topics([house.topic("agent_events")])
        admin.ensure_topics([TopicSpec(house.topic("agent_events"), 3)])
    after = send(house, 21)
    report = drain(house)
    assert report.landed == 21
    assert landed_ids(house, warehouse) == sorted(before.ids + after.ids)


def test_a_flood_of_refused_events_stops_the_loader_before_a_dead_letter_is_written(
    house: Settings, warehouse: Client
) -> None:
    send(house, 10, bad=3_000)
    careful = house.model_copy(update={"reject_window_events": 500})
    with pytest.raises(RejectShareError, match="METERHOUSE_MAX_REJECT_SHARE"):
        drain(careful)
    assert count(warehouse, f"select count() from {house.database('raw')}.dead_letters") == 0
    report = drain(house.model_copy(update={"max_reject_share": 1.0}))
    assert (report.landed, report.rejected) == (10, 3_000)


def test_the_ledger_and_the_progress_say_what_happened(house: Settings, warehouse: Client) -> None:
    send(house, 90, bad=3)
    before = datetime.now(UTC)
    drain(house)
    ops = house.database("ops")
    totals = warehouse.query(
        f"select sum(messages), sum(landed), sum(rejected), sum(lost), sum(last_offset - first_offset + 1) "
        f"from {ops}.load_batches"
    ).result_rows[0]
    assert tuple(totals) == (93, 90, 3, 0, 93)
    rows = warehouse.query(
        f"select partition, next_offset, high_watermark, lag from {ops}.load_progress final "
        f"where topic = '{house.topic('agent_events')}' order by partition"
    ).result_rows
    assert [tuple(row) for row in rows] == [(number, 31, 31, 0) for number in range(3)]
    times = warehouse.query(
        f"select oldest_occurred_at, newest_occurred_at, last_appended_at from {ops}.load_progress final "
        f"where topic = '{house.topic('agent_events')}'"
    ).result_rows
    for oldest, newest, appended in times:
        assert before - timedelta(seconds=5) <= oldest.replace(tzinfo=UTC) <= newest.replace(tzinfo=UTC)
        assert newest <= appended
    complete_to = warehouse.query(
        f"select complete_to from {ops}.completeness where topic = '{house.topic('agent_events')}'"
    ).result_rows[0][0]
    assert complete_to.replace(tzinfo=UTC) >= before.replace(microsecond=0)


def test_two_loaders_share_the_partitions_and_land_everything_once(house: Settings, warehouse: Client) -> None:
    stopping, reports, errors = threading.Event(), [], []

    def work() -> None:
        try:
            reports.append(run_loader(house, stopping=stopping))
        except MeterhouseError as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    sent = send(house, 3_000, topics=house.agent_event_topics)
    try:
        drain(house)
    finally:
        stopping.set()
        for thread in threads:
            thread.join(60)
    assert errors == []
    assert landed_ids(house, warehouse) == sorted(sent.ids)
    overlaps = count(
        warehouse,
        f"select count() from {house.database('ops')}.load_batches a join {house.database('ops')}.load_batches b "
        "on a.topic_id = b.topic_id and a.partition = b.partition "
        "where a.first_offset < b.first_offset and a.last_offset >= b.first_offset",
    )
    assert overlaps == 0


def test_one_command_of_two_processes_drains_everything_once_between_them(house: Settings, warehouse: Client) -> None:
    sent = send(house, 900, bad=6)
    argv = [*METERHOUSE, "load", "--drain", "--processes", "2"]
    group = {"METERHOUSE_CONSUMER_GROUP": f"drain-{uuid.uuid4().hex}", "METERHOUSE_METRICS_PORT": "0"}
    done = subprocess.run(
        [*argv, "--owner", "pair"],
        env={**os.environ, **environment(house), **group},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert landed_ids(house, warehouse) == sorted(sent.ids)
    said = [[int(word) for word in re.findall(r"\d+", line)] for line in sorted(done.stdout.splitlines())]
    assert [words[:2] for words in said] == [[1, 2], [2, 2]]
    assert (sum(words[3] for words in said), sum(words[4] for words in said)) == (900, 6)
    owners = warehouse.query(f"select distinct owner from {house.database('ops')}.load_batches").result_rows
    assert {owner for (owner,) in owners} <= {"pair:1/2", "pair:2/2"}
