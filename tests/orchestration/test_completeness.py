"""Completeness on the embedded stack: what was produced is landed or a dead letter, and one missing row is found."""

import random
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from clickhouse_connect.driver.client import Client

from ingest.kafka import KafkaAdmin, TopicSpec, open_producer
from ingest.schema.engines import Layout
from ingest.schema.migrate import migrate
from ingest.settings import Settings
from orchestration.lib import completeness_broker
from orchestration.lib.completeness import Counts
from orchestration.lib.completeness_check import account, completeness
from orchestration.lib.quality_finding import Finding, Level, Look
from orchestration.lib.quality_thresholds import load_thresholds
from tests.orchestration.landing import land_topics
from tests.support.apache_kafka import ApacheKafka
from tests.support.otlp_requests import logs, metrics, traces
from tests.support.topics import Sent, produce
from tests.unit.contracts.events import payload

BAD = b'{"event_id": "not one"}'


@dataclass
class House:
    """Two topics, the tables, a loader to be run by hand."""

    settings: Settings
    client: Client

    @property
    def topic(self) -> str:
        return self.settings.topic("agent_events")

    def send(self, *messages: bytes, topic: str | None = None, partition: int = 0) -> None:
        produce(self.settings.bootstrap, topic or self.topic, [Sent(one, partition) for one in messages])

    def load(self) -> None:
        land_topics(self.settings, self.client)

    def look(self, at: datetime | None = None) -> Look:
        return Look(self.settings, self.client, at or datetime.now(UTC), load_thresholds())

    def total(self, at: datetime | None = None) -> Counts:
        total = Counts()
        for counts in account(self.look(at)).counts.values():
            total.add(counts)
        return total

    def check(self, at: datetime | None = None) -> Finding:
        return completeness(self.look(at))

    def run(self, sql: str) -> None:
        raw, ops = self.settings.database("raw"), self.settings.database("ops")
        self.client.command(sql.format(raw=raw, ops=ops), settings={"mutations_sync": 2})


def event(**fields: object) -> bytes:
    return payload(
        **{"event_id": str(uuid.uuid4()), "occurred_at": int(datetime.now(UTC).timestamp() * 1_000), **fields}
    )


@pytest.fixture
def house(settings: Settings, warehouse: Client) -> House:
    migrate(warehouse, Layout(settings.database_prefix, "", settings.retention_days), say=lambda _: None)
    made = settings.model_copy(update={"agent_event_topics": ("agent_events", "agent_events_eu"), "batch_age_s": 0.1})
    with KafkaAdmin(made.bootstrap, made.kafka_options) as admin:
        admin.ensure_topics(TopicSpec(made.topic(name), 3) for name in made.agent_event_topics)
    return House(made, warehouse)


def test_every_offset_is_accounted_for_and_a_row_that_is_gone_is_named(house: House) -> None:
    twice = event()
    house.send(twice, event(), BAD)
    house.send(event(), event(), event(), BAD, partition=1)
    house.load()
    house.send(twice, event())
    house.send(event(), topic=house.settings.topic("agent_events_eu"), partition=2)
    house.load()
    house.run("optimize table {raw}.agent_events final")

    found = house.check()

    assert found.level is Level.OK, found.summary
    assert found.numbers["produced"] == 10
    assert (found.numbers["landed"], found.numbers["copies"], found.numbers["dead_letters"]) == (7, 1, 2)
    assert found.numbers["missing_messages"] == 0

    house.run("alter table {raw}.agent_events delete where _partition = 1 and _offset = 1")

    found = house.check()

    assert found.level is Level.ERROR
    assert (found.numbers["missing"], found.numbers["missing_messages"]) == (1, 1)
    assert f"{house.topic}[1] offset 1" in found.summary
    assert "harbor-logistics/" in str(found.more["missing_offsets"].value)
    [row] = [row for row in found.rows if row["unaccounted"]]
    assert (row["topic"], row["day"]) == (house.topic, str(datetime.now(UTC).date()))


def test_a_newest_copy_that_is_gone_is_missing_though_an_older_copy_is_there(house: House) -> None:
    twice = event()
    house.send(twice)
    house.load()
    house.send(event(), twice)
    house.load()
    house.run("alter table {raw}.agent_events delete where _offset = 2")

    assert house.total().missing == 1


def test_a_dead_letter_that_is_gone_is_missing(house: House) -> None:
    house.send(event(), BAD, BAD)
    house.load()
    assert house.total().dead_letters == 2
    house.run("alter table {raw}.dead_letters delete where _offset = 1")

    total = house.total()

    assert (total.dead_letters, total.missing) == (1, 1)


def test_what_waits_is_no_loss_until_its_day_is_over_for_long(house: House) -> None:
    house.send(event())
    house.load()
    house.send(event(), event())

    today = house.check()
    in_two_days = house.check(datetime.now(UTC) + timedelta(days=2))

    assert (today.level, today.numbers["waiting"]) == (Level.OK, 2)
    assert (in_two_days.level, in_two_days.numbers["waiting"]) == (Level.WARN, 2)
    assert "although their day is over" in in_two_days.summary


def test_offsets_of_a_topic_made_anew_are_others_and_what_the_old_one_still_held_is_lost(house: House) -> None:
    house.send(event(), event(), event())
    house.load()
    house.send(event(), event())
    assert house.total().waiting == 2
    with KafkaAdmin(house.settings.bootstrap, house.settings.kafka_options) as admin:
        admin.delete_topics([house.topic])
        admin.ensure_topics([TopicSpec(house.topic, 3)])
    house.send(event(), event())
    house.load()

    found = house.check()

    assert (found.numbers["produced"], found.numbers["landed"]) == (7, 5)
    assert (found.level, found.numbers["lost"]) == (Level.ERROR, 2)

    # The same offset of both: the row of the old topic does not stand for the one of the new.
    newest = "(select max(_loaded_at) from {raw}.agent_events)"
    house.run(f"alter table {{raw}}.agent_events delete where _offset = 0 and _loaded_at = {newest}")

    assert house.total().missing == 1


def test_a_broker_that_cannot_be_asked_is_said_and_is_no_pass(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completeness_broker, "ANSWER_WITHIN_S", 1.0)
    house.send(event())
    house.load()
    away = house.settings.model_copy(
        update={"kafka_bootstrap": "127.0.0.1:9", "kafka_options": {"socket.timeout.ms": "1000"}}
    )
    away.__dict__.pop("bootstrap", None)

    found = completeness(Look(away, house.client, datetime.now(UTC), load_thresholds()))

    assert found.level is Level.WARN
    assert "could not be asked" in found.summary
    assert found.numbers["landed"] == 1


def test_when_the_broker_has_nothing_more_the_list_of_first_arrivals_tells_copies_from_losses(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completeness_broker, "ANSWER_WITHIN_S", 1.0)
    twice = event()
    house.send(twice, event(), event())
    house.load()
    intermediate = house.settings.database("intermediate")
    house.run(f"create database {intermediate}")
    arrivals = (
        "select workspace_id, event_id, bitNot(_version) as before, _loaded_at as loaded_at, _topic as topic, "
        "_partition as kafka_partition, _offset as kafka_offset from {raw}.agent_events"
    )
    house.run(f"create table {intermediate}.firsts engine = MergeTree order by event_id as {arrivals}")
    house.send(twice)
    house.load()
    house.run("optimize table {raw}.agent_events final")
    house.run("alter table {raw}.agent_events delete where _offset = 1")
    away = house.settings.model_copy(
        update={"kafka_bootstrap": "127.0.0.1:9", "kafka_options": {"socket.timeout.ms": "1000"}}
    )
    away.__dict__.pop("bootstrap", None)
    look = Look(away, house.client, datetime.now(UTC), load_thresholds())

    unproven = completeness(look)
    house.run(f"rename table {intermediate}.firsts to {intermediate}.int_event_firsts")
    told = completeness(look)

    assert (unproven.level, unproven.numbers["unproven"], unproven.numbers["missing_messages"]) == (Level.WARN, 2, 2)
    assert (told.level, told.numbers["copies"], told.numbers["missing"]) == (Level.ERROR, 1, 1)
    assert told.numbers["unproven"] == 0


def test_on_kafka_days_are_those_of_its_index_and_markers_of_transactions_are_no_loss(
    house: House, apache_kafka: ApacheKafka
) -> None:
    settings = house.settings.model_copy(update={"kafka_bootstrap": apache_kafka.bootstrap, "kafka_options": {}})
    settings.__dict__.pop("bootstrap", None)
    house.settings = settings
    with KafkaAdmin(settings.bootstrap, {}) as admin:
        admin.ensure_topics(TopicSpec(settings.topic(name), 2) for name in settings.agent_event_topics)
    now = datetime.now(UTC)
    days = [now - timedelta(days=back) for back in (2, 1, 0)]
    stamped = [Sent(event(), timestamp_ms=int(day.timestamp() * 1_000)) for day in days for _ in range(3)]
    produce(settings.bootstrap, house.topic, stamped)
    producer = open_producer({"bootstrap.servers": settings.bootstrap, "transactional.id": house.topic})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(house.topic, event(), partition=0)
    producer.commit_transaction(20)
    house.load()

    found = house.check()

    assert found.level is Level.OK, found.summary
    assert (found.numbers["produced"], found.numbers["landed"], found.numbers["not_messages"]) == (11, 10, 1)
    by_day = {row["day"]: row["produced"] for row in found.rows if row["topic"] == house.topic and row["produced"]}
    assert by_day == {str(days[0].date()): 3, str(days[1].date()): 3, str(days[2].date()): 5}


def test_a_row_that_landed_twice_is_told(house: House) -> None:
    house.send(event())
    house.load()
    house.run("insert into {raw}.agent_events select * from {raw}.agent_events")

    found = house.check()

    assert (found.level, found.numbers["landed_twice"]) == (Level.WARN, 1)


def spans(count: int, *, resource: dict[str, str] | None = None) -> bytes:
    """An export request; ids never repeat."""
    source = random.Random(uuid.uuid4().int)
    named = {"meterhouse.workspace_id": "acme"} if resource is None else resource
    return traces(count, time.time_ns(), source, named).SerializeToString()


@pytest.fixture
def telling(house: House) -> House:
    """With topics of OTLP beside those of events."""
    names = ("otlp_traces", "otlp_logs", "otlp_metrics")
    with KafkaAdmin(house.settings.bootstrap, house.settings.kafka_options) as admin:
        admin.ensure_topics(TopicSpec(house.settings.topic(name), 3) for name in names)
    return house


def test_messages_of_otlp_are_accounted_for_as_messages_whatever_they_hold(telling: House) -> None:
    house, topic = telling, telling.settings.topic
    twice, now = spans(3), time.time_ns()
    house.send(event())
    # Landed; landed and sent again; nobody's, so refused; without a span in it; and what is no request at all.
    house.send(spans(5), twice, spans(2, resource={}), b"", b"\xff\xff", topic=topic("otlp_traces"))
    house.send(logs(["a", "b"], now).SerializeToString(), topic=topic("otlp_logs"), partition=1)
    house.send(metrics(now).SerializeToString(), topic=topic("otlp_metrics"), partition=2)
    house.load()
    house.send(twice, topic=topic("otlp_traces"), partition=1)
    house.load()
    house.run("optimize table {raw}.otel_traces final")

    found = house.check()

    assert found.level is Level.OK, found.summary
    by_topic = {row["topic"]: row for row in found.rows if row["produced"]}
    of_spans = by_topic[topic("otlp_traces")]
    counts = ("produced", "landed", "copies", "dead_letters", "not_messages", "landed_twice", "unaccounted")
    assert [of_spans[name] for name in counts] == [6, 2, 1, 2, 1, 0, 0]
    assert [by_topic[topic(name)]["landed"] for name in ("otlp_logs", "otlp_metrics")] == [1, 1]

    # The first of the two copies is gone by right; now the second, which counts, goes too, and a log's rows.
    house.run("alter table {raw}.otel_traces delete where _partition = 1")
    house.run("alter table {raw}.otel_logs delete where true")
    found = house.check()

    assert (found.level, found.numbers["missing"]) == (Level.ERROR, 3)
    assert f"{topic('otlp_traces')} | 1 | 0 | missing" in str(found.more["missing_offsets"].value)


def test_topics_of_otlp_that_nobody_uses_are_not_missed_and_one_that_was_loaded_is(telling: House) -> None:
    house, topic = telling, telling.settings.topic
    with KafkaAdmin(house.settings.bootstrap, house.settings.kafka_options) as admin:
        admin.delete_topics([topic("otlp_logs")])
        house.load()
        unused = house.check()
        house.send(spans(1), topic=topic("otlp_traces"))
        house.load()
        admin.delete_topics([topic("otlp_traces")])

    assert unused.level is Level.OK, unused.summary
    assert {row["topic"] for row in unused.rows} == {topic(name) for name in ("agent_events", "agent_events_eu")}
    found = house.check()
    assert found.level is Level.WARN
    assert f"the broker has no topic {topic('otlp_traces')}" in found.summary
