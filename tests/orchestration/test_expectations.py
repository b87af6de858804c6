"""Suites on the embedded engine: each finds the fault it is for, and a young installation is told from a sound one."""

import socket
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from clickhouse_connect.driver.client import Client

from ingest.building.dbt import project_folder
from ingest.errors import SettingsError
from ingest.schema.engines import Layout
from ingest.schema.migrate import migrate
from ingest.settings import Settings, load_settings
from ingest.warehouse import connect
from orchestration.lib.expectations_check import check_suites
from orchestration.lib.expectations_suites import Suite, load_suites, read_suite
from orchestration.lib.quality_finding import Finding, Level, Look
from orchestration.lib.quality_thresholds import load_thresholds
from tests.conftest import drop_databases
from tests.support.shared import Engine

AS_OF = datetime(2026, 11, 20, 12, 20, tzinfo=UTC)
NOW = "toDateTime('2026-11-20 11:00:00', 'UTC')"
WEEKS = 5

EVENTS = f"""
    insert into {{intermediate}}.int_agent_events (
        event_id, workspace_id, event_type, occurred_at, occurred_hour, provider, model, tool_name, status, error_class,
        latency_ms, time_to_first_token_ms, input_tokens, output_tokens
    )
    with number % 400 as n, intDiv(number, 400) as week, {NOW} - interval week week as hour
    select
        generateUUIDv4(), if(n % 3 = 0, 'acme', 'globex'), if(n < 300, 'llm_call', 'tool_call'),
        hour + interval n second, hour, 'openai', ['gpt-5', 'gpt-5-mini', 'o4'][n % 3 + 1], if(n < 300, '', 'search'),
        if(n % 5 = 0, 'error', 'ok'), if(n % 5 = 0, ['timeout', 'rate_limit'][n % 2 + 1], ''),
        500 + n * 7 % 900, 100 + n % 50, 1000 + n * 13 % 4000, 200 + n % 300
    from numbers({{rows}})
"""
RAW = f"""
    insert into {{raw}}.agent_events (
        event_id, workspace_id, event_type, occurred_at, agent, run_id, status, provider, model, latency_ms, tool_name
    )
    with number % 200 as n, intDiv(number, 200) as week, {NOW} - interval week week as hour
    select
        generateUUIDv4(), 'acme', if(n < 120, 'llm_call', 'tool_call'), hour + interval n second, 'planner', 'r1', 'ok',
        'openai', 'gpt-5', 12.5, if(n < 120, '', 'search')
    from numbers({{rows}})
"""
BATCHES = f"""
    insert into {{ops}}.load_batches (topic, topic_id, first_offset, last_offset, messages, judged_at, dropped_fields)
    select '{{topic}}', 't', number, number, 100, {NOW} - interval number week + interval 5 minute, map('prompt', 90)
    from numbers({{weeks}})
"""


@dataclass
class House:
    """Raw, the ledger and int_agent_events as the contract has it, filled by hand: a build would cost more."""

    settings: Settings
    client: Client

    def names(self) -> dict[str, str]:
        return {name: self.settings.database(name) for name in ("raw", "ops", "intermediate")}  # type: ignore[arg-type]

    def run(self, sql: str) -> None:
        self.client.command(sql.format(**self.names()), settings={"mutations_sync": 2})

    def fill(self, weeks: int) -> None:
        """The hour before AS_OF and the same hour of so many weeks, alike."""
        for table in ("raw.agent_events", "ops.load_batches", "intermediate.int_agent_events"):
            database, name = table.split(".")
            self.client.command(f"truncate table {self.names()[database]}.{name} sync")
        topic = self.settings.topic("agent_events")
        self.client.command(EVENTS.format(**self.names(), rows=400 * weeks))
        self.client.command(RAW.format(**self.names(), rows=200 * weeks))
        self.client.command(BATCHES.format(**self.names(), topic=topic, weeks=weeks))

    def findings(self, suites: list[Suite] | None = None) -> dict[str, Finding]:
        """By asset and check."""
        look = Look(self.settings, self.client, AS_OF, load_thresholds())
        return {
            f"{suite.asset}:{suite.check}": found for suite, found in check_suites(look, suites or load_suites(), AS_OF)
        }


@pytest.fixture(scope="module")
def house(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    settings = load_settings(
        home=tmp_path_factory.mktemp("quality"), clickhouse_url=engine.url, database_prefix=f"t{uuid.uuid4().hex[:10]}_"
    )
    client = connect(settings.clickhouse, connect_timeout_s=5, request_timeout_s=60)
    migrate(client, Layout(settings.database_prefix, "", settings.retention_days), say=lambda _: None)
    made = House(settings, client)
    text = (project_folder() / "models/intermediate/int_agent_events.yml").read_text("utf-8")
    [model] = yaml.safe_load(text)["models"]
    columns = ", ".join(f"{column['name']} {column['data_type']}" for column in model["columns"])
    database = made.names()["intermediate"]
    client.command(f"create database {database}")
    client.command(f"create table {database}.int_agent_events ({columns}) engine = MergeTree order by tuple()")
    for kind in ("llm", "tool"):
        view = f"create view {database}.int_{kind}_calls as select * from {database}.int_agent_events"
        client.command(f"{view} where event_type = '{kind}_call'")
    yield made
    drop_databases(settings)
    client.close()


def test_a_sound_hour_passes_every_suite_with_numbers_and_a_page(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    _only_loopback(monkeypatch)
    house.fill(WEEKS)

    found = house.findings()

    assert {name: one.summary for name, one in found.items() if one.level is not Level.OK} == {}
    assert len(found) == len(load_suites())
    volume = found["intermediate/int_agent_events:volume_like_past_weeks"]
    assert (volume.numbers["weeks_found"], volume.numbers["weeks_needed"]) == (4, 3)
    assert volume.numbers["comparisons_judged"] == 5
    page = Path(str(volume.more["page"].value))
    assert page.is_relative_to(house.settings.home.absolute())
    assert "rows of llm_call" in page.read_text("utf-8")


_ASK_NO_PAST = (
    "raw/agent_events:schema_as_migrated",
    "raw/otel_traces:otel_schema_as_migrated",
    "intermediate/int_llm_calls:latency_in_milliseconds",
)


def test_a_young_installation_has_not_enough_history_and_neither_fails_nor_just_passes(house: House) -> None:
    house.fill(weeks=2)

    found = house.findings()

    assert {one.level for one in found.values()} == {Level.OK}
    for name, one in found.items():
        if name not in _ASK_NO_PAST:
            assert one.summary.startswith("not enough history: 1 of 3 past weeks"), name
            assert (one.numbers["weeks_found"], one.numbers["weeks_needed"]) == (1, 3)


def test_an_installation_without_events_has_nothing_to_judge_and_says_so(house: House) -> None:
    house.fill(weeks=0)

    found = house.findings()

    assert {one.level for one in found.values()} == {Level.OK}
    assert "not enough history: 0 of 3" in found["intermediate/int_agent_events:volume_like_past_weeks"].summary
    assert "too few rows" in found["intermediate/int_llm_calls:latency_in_milliseconds"].summary


NOW_ROWS = f"occurred_hour = {NOW}"
EVENT_TABLE = "{intermediate}.int_agent_events"
UNKNOWN_FIELD = (
    "insert into {ops}.load_batches (topic, topic_id, first_offset, last_offset, judged_at, dropped_fields) "
    f"select topic, 't', 99, 99, {NOW} + interval 9 minute, map('modle', 40) from {{ops}}.load_batches limit 1"
)
FAULTS: Mapping[str, tuple[str, str, Level, str]] = {
    "a producer that fell silent": (
        f"alter table {{intermediate}}.int_agent_events delete where {NOW_ROWS} and rowNumberInAllBlocks() >= 0",
        "intermediate/int_agent_events:volume_like_past_weeks", Level.ERROR, "rows is 0",
    ),
    "a kind of event that is gone": (
        f"alter table {{intermediate}}.int_agent_events delete where {NOW_ROWS} and event_type = 'tool_call'",
        "intermediate/int_agent_events:volume_like_past_weeks", Level.WARN, "rows of tool_call is 0",
    ),
    "a loop": (
        f"insert into {EVENT_TABLE} select * from {EVENT_TABLE} array join range(5) where {NOW_ROWS}",
        "intermediate/int_agent_events:volume_like_past_weeks", Level.ERROR, "rows is 2400",
    ),
    "a slow model": (
        f"alter table {{intermediate}}.int_agent_events update latency_ms = latency_ms * 3 where {NOW_ROWS}",
        "intermediate/int_llm_calls:latency_like_past_weeks", Level.WARN, "p50 of latency_ms",
    ),
    "latency in seconds": (
        f"alter table {{intermediate}}.int_agent_events update latency_ms = latency_ms / 1000 where {NOW_ROWS}",
        "intermediate/int_llm_calls:latency_in_milliseconds", Level.ERROR, "p50 of latency_ms is 0.8",
    ),
    "a slow tool": (
        f"alter table {{intermediate}}.int_agent_events update latency_ms = latency_ms * 9 where {NOW_ROWS}",
        "intermediate/int_tool_calls:latency_like_past_weeks", Level.WARN, "p50 of latency_ms of search",
    ),
    "a prompt that grew": (
        f"alter table {{intermediate}}.int_agent_events update input_tokens = input_tokens * 3 where {NOW_ROWS}",
        "intermediate/int_llm_calls:tokens_like_past_weeks", Level.WARN, "p50 of input_tokens",
    ),
    "calls without tokens": (
        f"alter table {EVENT_TABLE} update input_tokens = null where {NOW_ROWS} and status = 'error'",
        "intermediate/int_llm_calls:tokens_like_past_weeks", Level.ERROR, "share of has_tokens is 0.8",
    ),
    "a model nobody called before": (
        f"alter table {{intermediate}}.int_agent_events update model = 'gpt-6' where {NOW_ROWS} and model = 'o4'",
        "intermediate/int_llm_calls:models_like_past_weeks", Level.WARN, "no past week had is 0.3",
    ),
    "errors of another kind": (
        f"alter table {EVENT_TABLE} update error_class = 'permission' where {NOW_ROWS} and error_class != ''",
        "intermediate/int_agent_events:error_classes_like_past_weeks", Level.WARN, "distance of error_class",
    ),
    "a field that producers left out": (
        f"alter table {{raw}}.agent_events update agent = '' where toStartOfHour(occurred_at) = {NOW}",
        "raw/agent_events:fields_filled_like_past_weeks", Level.WARN, "share of is_filled of llm_call.agent is 0.0",
    ),
    "a field nobody knows": (
        UNKNOWN_FIELD,
        "raw/agent_events:unknown_fields_like_past_weeks", Level.WARN, "share of field that no past week had",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_fails_the_suite_that_is_for_it(house: House, fault: str) -> None:
    sql, name, level, words = FAULTS[fault]
    house.fill(WEEKS)
    house.run(sql)

    found = house.findings([suite for suite in load_suites() if f"{suite.asset}:{suite.check}" == name])[name]

    assert (found.level, words in found.summary) == (level, True), found.summary
    assert int(found.numbers["unexpected"] or 0) >= 1


@pytest.mark.parametrize(
    ("name", "table", "column"),
    [
        ("raw/agent_events:schema_as_migrated", "agent_events", "session_id"),
        ("raw/otel_traces:otel_schema_as_migrated", "otel_metrics_sum", "MetricDescription"),
    ],
)
def test_a_column_of_raw_of_another_type_fails_the_schema_suite(
    house: House, name: str, table: str, column: str
) -> None:
    suites = [suite for suite in load_suites() if f"{suite.asset}:{suite.check}" == name]
    house.run(f"alter table {{raw}}.{table} add column surprise String, modify column {column} LowCardinality(String)")
    try:
        found = house.findings(suites)[name]
    finally:
        house.run(f"alter table {{raw}}.{table} drop column surprise, modify column {column} String")

    assert found.level is Level.ERROR
    assert "surprise String" in found.summary
    assert house.findings(suites)[name].level is Level.OK


WRONG: Mapping[str, tuple[str, str]] = {
    "check: {}": ("check", "expected"),
    "unknown: 1": ("(the whole file)", "unknown field `unknown`"),
    "query: select {{ now }} as x": ("query", "{{ now }}"),
    "expectations: [{type: expect_volume_like_past_weeks, kwargs: {min_rows: 0, min_ratio: 1, max_ratio: 2}}]": (
        "expectations[0].kwargs.min_rows", "expected `int` >= 1",
    ),
    "expectations: [{type: expect_volume_like_past_weeks, kwargs: {min_row: 5}}]": (
        "expectations[0].kwargs of expect_volume_like_past_weeks", "unknown field `min_row`",
    ),
    "expectations: [{type: expect_column_median_to_be_between, kwargs: {}}]": (
        "expectations[0].type", "works on ClickHouse",
    ),
    "expectations: [{type: expect_x, kwargs: {}, severity: bad}]": ("expectations[0].severity", "came 'bad'"),
    "asset: [": ("", "no valid YAML"),
    "check: one\ncheck: two": ("", "the key check comes twice"),
}  # fmt: skip


@pytest.mark.parametrize("lines", WRONG)
def test_a_wrong_suite_is_one_sentence_with_file_key_and_what_was_expected(tmp_path: Path, lines: str) -> None:
    sound = {
        "asset": "asset: raw/agent_events", "check": "check: one", "description": "description: Enough words.",
        "query": "query: select 1 as x", "expectations": "expectations: [{type: expect_x, kwargs: {}}]",
    }  # fmt: skip
    changed = {**sound, lines.split(":", 1)[0]: lines}
    file = tmp_path / "mine.yml"
    file.write_text("\n".join(changed.values()))
    key, expected = WRONG[lines]

    with pytest.raises(SettingsError) as raised:
        read_suite(file)

    sentence = str(raised.value)
    assert "mine.yml" in sentence
    assert key in sentence
    assert expected in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("expectation", "expected"),
    [
        ("{type: expect_the_moon, kwargs: {}}", "came 'expect_the_moon'"),
        (
            "{type: expect_column_values_to_be_in_set, kwargs: {colum: x, value_set: [1]}}",
            "expect_column_values_to_be_in_set",
        ),
        ("{type: expect_column_values_to_be_in_set, kwargs: {column: y, value_set: [1]}}", "could not be carried out"),
    ],
)
def test_what_only_great_expectations_knows_is_said_by_the_check_and_keeps_no_other_from_running(
    house: House, tmp_path: Path, expectation: str, expected: str
) -> None:
    (tmp_path / "mine.yml").write_text(
        "asset: raw/agent_events\ncheck: mine\ndescription: A suite of mine.\nquery: select 1 as x\n"
        f"expectations: [{expectation}]"
    )
    sound = [suite for suite in load_suites() if suite.check == "schema_as_migrated"]

    found = house.findings([read_suite(tmp_path / "mine.yml"), *sound])

    assert found["raw/agent_events:mine"].level is Level.ERROR or "could not" in expected
    assert expected in found["raw/agent_events:mine"].summary
    assert "mine.yml, key expectations[0]" in found["raw/agent_events:mine"].summary or "could not" in expected
    assert found["raw/agent_events:schema_as_migrated"].level is Level.OK


def test_what_a_producer_calls_its_model_is_text_on_the_page(house: House) -> None:
    house.fill(WEEKS)
    house.run(
        f"alter table {{intermediate}}.int_agent_events update model = '<script>|x' where {NOW_ROWS} and model = 'o4'"
    )
    suites = [suite for suite in load_suites() if suite.check == "models_like_past_weeks"]

    found = house.findings(suites)["intermediate/int_llm_calls:models_like_past_weeks"]

    page = Path(str(found.more["page"].value)).read_text("utf-8")
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert "<script>" not in str(found.more["result"].value)
    assert "\\|x" in str(found.more["result"].value)


def _only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Great Expectations has no business with anybody but the engine."""
    connected = socket.socket.connect

    def connect_(self: socket.socket, address: tuple[str, int]) -> None:
        assert self.family == socket.AF_UNIX or address[0] in ("127.0.0.1", "::1"), f"went to {address}"
        connected(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_)
