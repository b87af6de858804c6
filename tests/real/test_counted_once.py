"""Real libraries against a provider that counts: whatever reports a call, and how often, it is counted and priced once.

The whole way: their own OTLP exporters, by HTTP and by gRPC, to a running `meterhouse serve`, Kafka, the loader, dbt.
Nothing is made by hand but the provider. Every play has a workspace of its own; all are loaded and built at once.
"""

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import pytest
from confluent_kafka import Message

from ingest.api.own_tokens import mint_token
from ingest.embedded.stack import STREAMS
from ingest.kafka import KafkaAdmin
from ingest.loader.service import LoadReport, run_loader
from ingest.schema.engines import Layout
from ingest.schema.migrate import migrate
from ingest.settings import load_settings
from ingest.warehouse import connect
from tests.conftest import Broker, drop_databases, remove_topics
from tests.real import planting, standin
from tests.real.plays import PLAYS
from tests.real.stage import House, Stage
from tests.support.door import start_door
from tests.support.models import Models
from tests.support.shared import Engine
from tests.support.topics import all_of

Row = Mapping[str, object]
MARTS: Final = ("llm_daily", "tool_reliability", "agent_health_daily", "usage_conformance_daily", "otel_metrics_hourly")
# The test model makes its usage up, and nobody learns that of a silent stream.
COUNTED: Final = [name for name in PLAYS if name not in ("failing_tool", "silent_stream")]
# These tell no cached tokens, so all of the input is priced as such.
WITHOUT_CACHE: Final = ("opentelemetry_only",)


@dataclass(frozen=True)
class Told:
    """The built warehouse, by play what happened on its stage, and what the loader says it landed."""

    models: Models
    stages: Mapping[str, Stage]
    loaded: LoadReport
    planted: list[int]
    kept: bytes
    """What the front door wrote: into Kafka, and its log."""

    def served(self, play: str) -> list[standin.Served]:
        return self.stages[play].provider.calls

    def mart(self, name: str, play: str, columns: str = "*") -> list[Row]:
        return list(self.models.rows(f"marts.{name}", columns, f"workspace_id = '{play}'"))

    def events(self, play: str, event_type: str) -> list[Row]:
        where = f"workspace_id = '{play}' and event_type = '{event_type}'"
        return list(self.models.rows("intermediate.int_agent_events", where=where))


@pytest.fixture(scope="module")
def told(engine: Engine, broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder, prefix = tmp_path_factory.mktemp("real"), f"t{uuid.uuid4().hex[:10]}_"
    settings = load_settings(
        home=folder, clickhouse_url=engine.url, kafka_bootstrap=broker.bootstrap, database_prefix=prefix,
        topic_prefix=prefix, consumer_group=f"{prefix}loader", metrics_port=0, batch_age_s=0.2,
        max_reject_share=1.0,
        kafka_options={"session.timeout.ms": "6000", "heartbeat.interval.ms": "1500"},
    )  # fmt: skip
    tokens = {name: mint_token(folder / "keys.json", name, 1) for name in (*PLAYS, planting.WORKSPACE)}
    door = start_door(folder, broker.bootstrap, prefix=prefix)
    house, stages = House(door, tokens), dict[str, Stage]()
    for name, (protocol, play) in PLAYS.items():
        with house.playing(name, protocol) as stage:
            play(stage)
        stages[name] = stage
    planted = planting.plant(door, tokens[planting.WORKSPACE])
    door.server.stop()
    kept = door.server.log.read_bytes() + b"".join(_whole(one) for name in STREAMS for one in door.messages(name))
    planting.plant_beside(broker.bootstrap, prefix)
    client = connect(settings.clickhouse, connect_timeout_s=5, request_timeout_s=60)
    migrate(client, Layout(prefix, "", settings.retention_days))
    models = Models(settings, client, "")
    # The loader waits for its group for as long as dbt reads the project.
    with ThreadPoolExecutor(1) as aside:
        loading = aside.submit(run_loader, settings, drain=True)
        models.set_up()
        loaded = loading.result()
    models.build("--select", *(f"+{mart}" for mart in MARTS))
    yield Told(models, stages, loaded, planted, kept)
    drop_databases(settings)
    remove_topics(settings)
    client.close()


def _whole(message: Message) -> bytes:
    return repr((message.key(), message.headers())).encode() + (message.value() or b"")


def test_every_message_of_the_front_door_landed(told: Told) -> None:
    settings = told.models.settings
    with KafkaAdmin(settings.bootstrap, settings.kafka_options) as admin:
        names = [settings.topic(name) for name in STREAMS]
        held = sum(marks.high - marks.low for marks in admin.watermarks(names).values())
    assert (told.loaded.messages, told.loaded.lost) == (held, 0)
    where = f"workspace_id in ({', '.join(repr(play) for play in PLAYS)})"
    database = settings.database("raw")
    assert told.models.client.query(f"select count() from {database}.dead_letters where {where}").result_rows == [(0,)]


def test_what_was_planted_is_nowhere(told: Told) -> None:
    # Whole ones were taken, broken ones not; by gRPC all.
    assert set(told.planted[:2] + told.planted[4::4][:3] + told.planted[5::4][:3]) == {200}
    assert 500 not in told.planted
    settings, client = told.models.settings, told.models.client
    tables = client.query(
        "select database, name from system.tables where startsWith(database, {p:String}) and engine like '%MergeTree%'",
        parameters={"p": settings.database_prefix},
    ).result_rows
    assert len(tables) > 50
    everything = {f"{database}.{name}": client.raw_query(f"select * from {database}.{name}", fmt="RowBinary")
                  for database, name in tables}  # fmt: skip
    letters = everything[f"{settings.database('raw')}.dead_letters"]
    assert planting.WORKSPACE.encode() in letters
    everything["the front door's"] = told.kept
    for name in STREAMS:
        topic = settings.topic(f"{name}.dlq")
        everything[topic] = b"".join(_whole(one) for one in all_of(settings.bootstrap, topic))
        assert everything[topic]
    found = [
        (planted, where, what[max(0, at - 200) : at + 100])
        for planted in (planting.ADDRESS, planting.WORDS)
        for where, what in everything.items()
        if (at := what.find(planted.encode())) >= 0
    ]
    assert found == []


@pytest.mark.parametrize("play", COUNTED)
def test_calls_tokens_and_errors_are_what_the_provider_counted(told: Told, play: str) -> None:
    calls, served = told.events(play, "llm_call"), told.served(play)
    counted = sorted((row["input_tokens"] or 0, row["output_tokens"] or 0) for row in calls)
    assert counted == sorted((one.input_tokens, one.output_tokens) for one in served)
    columns = "sum(calls), sum(errors), sum(ifNull(input_tokens, 0)), sum(ifNull(output_tokens, 0))"
    (daily,) = told.mart("llm_daily", play, columns)
    refused = sum(one.input_tokens == 0 for one in served)
    tokens = sum(one.input_tokens for one in served), sum(one.output_tokens for one in served)
    assert tuple(daily.values()) == (len(served), refused, *tokens)


@pytest.mark.parametrize("play", COUNTED)
def test_the_price_is_that_of_the_best_informed_report(told: Told, play: str) -> None:
    # Today's list prices, USD a million tokens: input, read from the cache, written to it, output.
    rates = {"openai": ("2.5", "1.25", "0", "10"), "anthropic": ("3", "0.3", "3.75", "15")}
    expected = Decimal(0)
    for one in told.served(play):
        if one.input_tokens:
            plain, read, write, out = (Decimal(rate) / 1_000_000 for rate in rates[one.provider])
            written = standin.WRITTEN if one.provider == "anthropic" else 0
            cached = 0 if play in WITHOUT_CACHE else standin.CACHED
            expected += (one.input_tokens - cached - written) * plain + one.output_tokens * out
            expected += cached * read + written * write
    assert expected > 0
    daily = told.mart("llm_daily", play, "sum(cost_usd) as cost")
    assert [Decimal(str(row["cost"])) for row in daily] == [expected]


@pytest.mark.parametrize("play", PLAYS)
def test_tools_are_what_they_counted_themselves(told: Told, play: str) -> None:
    expected = Counter((one.name, one.is_ok) for one in told.stages[play].tools)
    found: Counter[tuple[str, bool]] = Counter()
    for row in told.mart("tool_reliability", play):
        # A tool that timed out failed.
        for name, is_ok in (("success", True), ("failure", False), ("timeout", False)):
            found[str(row["tool_name"]), is_ok] += int(str(row[name]))
    assert +found == expected


@pytest.mark.parametrize("play", PLAYS)
def test_runs_ended_as_their_agents_say(told: Told, play: str) -> None:
    expected = Counter((one.name, one.is_ok) for one in told.stages[play].runs)
    found: Counter[tuple[str, bool]] = Counter()
    for row in told.mart("agent_health_daily", play):
        for name, is_ok in (("ok_runs", True), ("failed_runs", False)):
            found[str(row["agent"]), is_ok] += int(str(row[name]))
    assert +found == expected


def test_a_stream_without_usage_is_one_call_without_tokens(told: Told) -> None:
    calls = told.events("silent_stream", "llm_call")
    assert [(row["input_tokens"], row["cost_source"], row["unpriced_reason"]) for row in calls] == [
        (None, "unpriced", "no_tokens")
    ]


def test_calls_of_one_conversation_carry_its_session(told: Told) -> None:
    play = "agent_and_two_instrumentations"
    runs = told.models.rows("intermediate.int_agent_runs", where=f"workspace_id = '{play}'")
    assert sorted(int(str(row["llm_calls"])) for row in runs) == [1, 2]
    assert len({row["session_id"] for row in told.events(play, "llm_call")}) == 1


def test_a_failing_tool_says_why_and_fails_its_run(told: Told) -> None:
    (tool,) = told.events("failing_tool", "tool_call")
    (run,) = told.events("failing_tool", "agent_run_finished")
    assert (tool["status"], tool["error_type"], tool["run_id"]) == ("error", "ValueError", run["run_id"])
    assert len(told.events("failing_tool", "llm_call")) == 1


def test_a_graph_is_one_run_with_its_calls(told: Told) -> None:
    (run,) = told.events("graph", "agent_run_finished")
    assert {row["run_id"] for row in told.events("graph", "llm_call")} == {run["run_id"]}


def test_a_programs_log_is_a_run_and_its_plain_words_stay_outside(told: Told) -> None:
    kinds = ("agent_run_started", "llm_call", "tool_call", "error", "agent_run_finished")
    rows = {kind: told.events("logging_handler", kind) for kind in kinds}
    assert [len(rows[kind]) for kind in kinds] == [1, 1, 2, 1, 1]
    assert {row["run_id"] for found in rows.values() for row in found} == {"r1"}
    where = "workspace_id = 'logging_handler'"
    database = told.models.settings.database("raw")
    bodies = told.models.client.query(f"select Body from {database}.otel_logs where {where}").result_rows
    assert len(bodies) == 7
    assert not [body for (body,) in bodies if "plain words" in body]


def test_what_an_instrumentation_measured_itself_is_beside_the_events_and_equal(told: Told) -> None:
    where = "workspace_id = 'opentelemetry_only' and metric_name = 'gen_ai.client.token.usage'"
    (row,) = told.models.rows("marts.otel_metrics_hourly", "sum(total) as tokens", where)
    assert row["tokens"] == sum(one.input_tokens + one.output_tokens for one in told.served("opentelemetry_only"))


def test_of_each_call_under_one_instrumentation_twice_two_of_three_reports_are_left_out(told: Told) -> None:
    rows = told.mart("usage_conformance_daily", "openllmetry_put_on_twice")
    assert {str(row["scope_name"]).split(".")[0] for row in rows} == {"opentelemetry", "openinference"}
    assert sum(int(str(row["twins_skipped"])) for row in rows) == 2 * len(told.served("openllmetry_put_on_twice"))


def test_conformance_says_what_was_not_counted(told: Told) -> None:
    rows = told.mart("usage_conformance_daily", "agent_and_two_instrumentations")
    assert sum(int(str(row["calls"])) for row in rows) == 3
    assert sum(int(str(row["twins_skipped"])) for row in rows) == 6
    assert sum(int(str(row["roll_ups_skipped"])) for row in rows) == 2
    agents = [row for row in rows if row["scope_name"] == "pydantic-ai"]
    assert agents
    assert sum(int(str(row["roll_up_tokens"])) - int(str(row["leaf_tokens"])) for row in agents) == 0
    assert {row["suspected_inflation_share"] for row in agents} == {0}
    assert all(row["unknown_attributes"] == [] for row in rows)
