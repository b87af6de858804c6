"""Checks of the house on a small built warehouse: each passes on a sound one and fails on the fault it is for."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from ingest.kafka import KafkaAdmin, TopicSpec
from ingest.settings import load_settings
from ingest.warehouse import connect
from orchestration.lib.freshness import bucket_fresh, model_fresh, policy_for, raw_fresh, read_watermarks
from orchestration.lib.quality_engine import disk, parts_and_mutations
from orchestration.lib.quality_finding import Finding, Level, Look
from orchestration.lib.quality_manifest import Config, Node, compare, manifest_drift, read_nodes
from orchestration.lib.quality_pipeline import consumer_lag, reject_share
from orchestration.lib.quality_prices import price_table_age
from orchestration.lib.quality_thresholds import load_thresholds
from tests.conftest import Broker, drop_databases, remove_topics
from tests.orchestration.landing import land_topics
from tests.support.models import Models
from tests.support.shared import Engine
from tests.support.topics import Sent, produce
from tests.unit.contracts.events import payload


@dataclass
class House:
    """The built models, a topic behind them, and the time the checks are asked at."""

    models: Models
    nodes: list[Node]
    built_at: datetime

    def look(self, after: timedelta = timedelta()) -> Look:
        return Look(self.models.settings, self.models.client, self.built_at + after, load_thresholds())

    def node(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)

    def make(self, name: str) -> None:
        """A table as its contract says, with rows of the last days and a build that saw what int_clock has."""
        node, by_day = self.node(name), name != "int_agent_events"
        columns = ", ".join(f"{one.name} {one.data_type}" for one in node.columns.values())
        table = f"{self.models.settings.database_prefix}{node.schema}.{name}"
        self.models.client.command(f"create database if not exists {table.split('.')[0]}")
        self.models.client.command(f"create table {table} ({columns}) engine = MergeTree order by tuple()")
        moment = "toDate(hour) as day" if by_day else "hour as occurred_hour"
        # The newest day that should be whole ended two to 26 hours ago: it has some at any time of the day.
        self.models.client.command(
            f"insert into {table} ({moment.split()[-1]}) select {moment} from "
            "(select toStartOfHour(now('UTC')) - interval number hour as hour from numbers(25, 95))"
        )
        if by_day:
            self.run(
                f"insert into {{ops}}.model_builds select * replace ('{name}' as model) from {{ops}}.model_builds "
                "where model = 'int_changed_hours'"
            )

    def run(self, sql: str) -> None:
        settings = self.models.settings
        names = {name: settings.database(name) for name in ("raw", "ops", "intermediate", "marts")}  # type: ignore[arg-type]
        self.models.client.command(sql.format(**names), settings={"mutations_sync": 2})

    def send(self, *messages: bytes) -> None:
        settings = self.models.settings
        produce(settings.bootstrap, settings.topic("agent_events"), [Sent(one) for one in messages])

    def load(self) -> None:
        land_topics(self.models.settings, self.models.client)


# The first models of the chain as dbt builds them, and two more tables after their contracts: all would take a minute.
BUILT = ("int_changed_hours", "int_clock")
BY_HAND = ("int_agent_events", "cost_by_route_daily")


def _built(nodes: list[Node]) -> list[Node]:
    """The nodes of BUILT, what they are built from, and the seeds."""
    by_id = {node.unique_id: node for node in nodes}
    wanted = {node.unique_id for node in nodes if node.name in (*BUILT, *BY_HAND) or node.resource_type == "seed"}
    built = {name for name in wanted if by_id[name].name in BUILT}
    while more := {one for name in built for one in by_id[name].depends_on.nodes if one in by_id} - built:
        built |= more
    wanted |= built
    return [by_id[name] for name in sorted(wanted)]


def event(at: datetime) -> bytes:
    return payload(event_id=str(uuid.uuid4()), occurred_at=int(at.timestamp() * 1_000))


@pytest.fixture(scope="module")
def house(engine: Engine, broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    prefix = f"t{uuid.uuid4().hex[:10]}_"
    settings = load_settings(
        home=tmp_path_factory.mktemp("quality"), clickhouse_url=engine.url, kafka_bootstrap=broker.bootstrap,
        database_prefix=prefix, topic_prefix=prefix,
    )  # fmt: skip
    client = connect(settings.clickhouse, connect_timeout_s=5, request_timeout_s=60)
    with KafkaAdmin(settings.bootstrap, settings.kafka_options) as admin:
        admin.ensure_topics([TopicSpec(settings.topic("agent_events"), 1)])
    models = Models(settings, client, as_of="")
    models.set_up()
    now = datetime.now(UTC)
    nodes = read_nodes(settings.home / "dbt" / "target" / "manifest.json")
    made = House(models, _built(nodes), now)
    made.send(*(event(now - timedelta(hours=hour)) for hour in range(30, 120)))
    made.load()
    models.build("--select", *(f"+{name}" for name in BUILT))
    for name in BY_HAND:
        made.make(name)
    # As the models see it, whose build may have taken a while.
    made.built_at = client.query(f"select as_of from {settings.database('intermediate')}.int_clock").result_rows[0][0]
    made.built_at = made.built_at.replace(tzinfo=UTC)
    yield made
    remove_topics(settings)
    drop_databases(settings)
    client.close()


def test_a_database_just_built_is_as_the_manifest_says_and_each_drift_is_named(house: House) -> None:
    found = manifest_drift(house.look(), house.nodes)

    assert found.level is Level.OK, found.rows
    assert found.numbers["built"] == len(house.nodes)

    table = "{marts}.cost_by_route_daily"
    house.run(f"alter table {table} drop column tool_calls, add column surprise String, modify column llm_calls Int64")
    house.run("create table {marts}.my_copy (x UInt8) engine = MergeTree order by x")
    house.run("rename table {intermediate}.provider_aliases to {intermediate}.provider_aliases__dbt_backup")
    try:
        found = manifest_drift(house.look(), house.nodes)
    finally:
        house.run("rename table {intermediate}.provider_aliases__dbt_backup to {intermediate}.provider_aliases")
        house.run("drop table {marts}.my_copy sync")
        house.run(
            f"alter table {table} add column tool_calls UInt64, drop column surprise, modify column llm_calls UInt64"
        )

    assert found.level is Level.ERROR
    assert [(row["what"], row["table"], row["column"]) for row in found.rows] == [
        ("missing_table", "intermediate.provider_aliases", ""),
        ("missing_column", "marts.cost_by_route_daily", "tool_calls"),
        ("other_type", "marts.cost_by_route_daily", "llm_calls"),
        ("extra_table", "marts.my_copy", ""),
        ("extra_column", "marts.cost_by_route_daily", "surprise"),
    ]


def test_what_a_build_puts_beside_its_table_and_models_of_our_own_kinds_are_no_drift() -> None:
    nodes = [
        Node("model", name, config=Config(materialized=kind, schema_="marts"))
        for name, kind in (("llm_daily", "bucketed"), ("alert_budget", "alert"), ("stg_agent__events", "view"))
    ]
    found = {f"marts.{name}": {"x": "UInt8"} for name in ("llm_daily", "alert_budget", "stg_agent__events")}
    nothing: dict[str, str] = {}
    beside = {
        f"marts.{name}": nothing for name in ("llm_daily__slice", "alert_budget__next", "stg_agent__events__dbt_tmp")
    }

    assert compare(nodes, {**found, **beside}) == []
    assert [one.table for one in compare(nodes, {**found, "marts.llm_weekly__slice": {}})] == [
        "marts.llm_weekly__slice"
    ]


def test_a_table_is_as_fresh_as_what_its_last_build_had_seen_whenever_that_was(house: House) -> None:
    node = house.node("int_changed_hours")

    def fresh(after: timedelta) -> Finding:
        look = house.look(after)
        return model_fresh(look, read_watermarks(look.client, look.settings), node, "fast")

    assert fresh(timedelta(minutes=1)).level is Level.OK
    assert fresh(timedelta(minutes=7)).level is Level.WARN
    late = fresh(timedelta(minutes=25))
    assert (late.level, late.numbers["fail_after_minutes"]) == (Level.ERROR, 10)
    assert 25 <= float(late.numbers["behind_minutes"] or 0) < 26
    # The wall clock of a run is no proof: it built what had not landed.
    builds = "{ops}.model_builds"
    house.run(
        f"insert into {builds} select * replace (now64(3) + interval 30 minute as built_at) from {builds} "
        "where model = 'int_changed_hours' order by built_at desc limit 1 by change_log"
    )
    assert fresh(timedelta(minutes=25)).level is Level.ERROR


def test_a_stopped_loader_is_told_from_builds_that_do_not_run(house: House) -> None:
    after = timedelta(minutes=25)
    look = house.look(after)
    node = house.node("int_changed_hours")
    stopped = read_watermarks(look.client, look.settings)

    assert "the loader is behind" in model_fresh(look, stopped, node, "fast").summary
    assert raw_fresh(look, stopped).level is Level.ERROR
    loading = replace(stopped, arrived=look.now - timedelta(seconds=5))
    assert "what has landed since was not built" in model_fresh(look, loading, node, "fast").summary
    assert raw_fresh(look, loading).level is Level.OK


def test_the_newest_day_of_a_mart_that_was_dropped_is_missed_though_the_mart_was_just_built(house: House) -> None:
    node, look = house.node("cost_by_route_daily"), house.look()
    watermarks = read_watermarks(look.client, look.settings)
    sound = bucket_fresh(look, watermarks, node)
    assert sound.level is Level.OK, sound.summary
    yesterday = str(sound.numbers["bucket"])
    house.run("create table {marts}.kept as {marts}.cost_by_route_daily")
    house.run("insert into {marts}.kept select * from {marts}.cost_by_route_daily")
    house.run(f"alter table {{marts}}.cost_by_route_daily delete where day = '{yesterday}'")
    try:
        dropped = bucket_fresh(look, watermarks, node)
    finally:
        house.run("exchange tables {marts}.kept and {marts}.cost_by_route_daily")
        house.run("drop table {marts}.kept sync")
    assert (dropped.level, dropped.numbers["rows"]) == (Level.ERROR, 0), dropped.summary

    morning = house.built_at.replace(hour=11, minute=0) + timedelta(days=2)
    next_day = bucket_fresh(replace(look, now=morning), watermarks, node)
    assert next_day.level is Level.ERROR
    assert "is not whole" in next_day.summary


def test_messages_that_wait_are_lag_by_number_and_by_time(house: House) -> None:
    assert consumer_lag(house.look()).level is Level.OK
    house.send(*(event(house.built_at) for _ in range(5)))

    by_time = consumer_lag(house.look(timedelta(minutes=16)))
    rule = msgspec.structs.replace(load_thresholds().consumer_lag, warn_messages=5)
    stricter = msgspec.structs.replace(load_thresholds(), consumer_lag=rule)
    by_number = consumer_lag(replace(house.look(), thresholds=stricter))

    assert (by_time.level, by_time.numbers["lag_messages"]) == (Level.ERROR, 5)
    assert float(by_time.numbers["behind_s"] or 0) > 900
    assert by_number.level is Level.WARN
    house.load()
    assert consumer_lag(house.look(timedelta(hours=1))).level is Level.OK  # an idle house is no lag


def test_a_share_of_refused_messages_is_judged_where_enough_came(house: House) -> None:
    few = reject_share(replace(house.look(), now=datetime.now(UTC) + timedelta(minutes=1)))
    assert (few.level, "not judged" in few.summary) == (Level.OK, True)
    house.send(*(event(house.built_at) for _ in range(95)), *(b"{}" for _ in range(6)))
    house.load()

    found = reject_share(replace(house.look(), now=datetime.now(UTC) + timedelta(minutes=1)))

    assert found.level is Level.WARN
    assert found.numbers["rejected"] == 6
    assert "missing_field: 6" in str(found.rows[0]["by_class"])


def test_parts_that_pile_up_and_mutations_that_fail_are_told_with_their_table(house: House) -> None:
    sound = parts_and_mutations(house.look())
    assert sound.level is Level.OK
    usual = int(sound.numbers["most_parts"] or 0)
    house.run("create table {marts}.piled (x UInt8, y String) engine = MergeTree order by x")
    house.run("system stop merges {marts}.piled")
    for number in range(usual + 10):
        house.run(f"insert into {{marts}}.piled values ({number}, 'no number')")
    rule = msgspec.structs.replace(load_thresholds().parts_and_mutations, warn_parts=usual + 3, error_parts=usual + 4)
    look = replace(house.look(), thresholds=msgspec.structs.replace(load_thresholds(), parts_and_mutations=rule))
    try:
        piled = parts_and_mutations(look)
        house.run("system start merges {marts}.piled")
        house.models.client.command(
            f"alter table {house.models.settings.database('marts')}.piled update y = toString(throwIf(x = 2)) where 1",
            settings={"mutations_sync": 0},
        )
        failing = _until(lambda: parts_and_mutations(house.look()))
    finally:
        house.run("drop table {marts}.piled sync")

    assert (piled.level, piled.numbers["most_parts"]) == (Level.ERROR, usual + 10)
    assert "piled" in piled.summary
    assert (failing.level, failing.numbers["mutations_failing"]) == (Level.ERROR, 1)


def _until(look: "object") -> Finding:
    """The first finding that fails, within ten seconds: the engine tries a mutation in the background."""
    import time

    deadline = time.monotonic() + 10
    while True:
        found: Finding = look()  # type: ignore[operator]
        if found.level is not Level.OK or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def test_a_disk_with_less_than_it_must_have_free_fails(house: House) -> None:
    rule = load_thresholds().disk
    plenty = msgspec.structs.replace(rule, warn_free_share=0.0, error_free_share=0.0, error_free_bytes=0)
    full = msgspec.structs.replace(plenty, error_free_bytes=10**18)
    short = msgspec.structs.replace(plenty, warn_free_share=1.0)

    def check(rule: object) -> Finding:
        return disk(replace(house.look(), thresholds=msgspec.structs.replace(load_thresholds(), disk=rule)))

    assert check(plenty).level is Level.OK
    assert check(full).level is Level.ERROR
    assert check(short).level is Level.WARN
    assert {row["disk"] for row in check(plenty).rows} >= {"METERHOUSE_HOME", "default"}


def test_an_old_price_list_and_a_table_that_is_not_the_seed_are_told(house: House) -> None:
    found = price_table_age(house.look())
    assert found.numbers["absent_prices"] == 0
    later = price_table_age(house.look(timedelta(days=400)))
    assert later.level is Level.ERROR
    assert int(later.numbers["age_days"] or 0) > 180

    house.run("create table {intermediate}.kept as {intermediate}.model_prices")
    house.run("insert into {intermediate}.kept select * from {intermediate}.model_prices limit 2000")
    house.run("exchange tables {intermediate}.kept and {intermediate}.model_prices")
    try:
        cut = price_table_age(house.look())
        house.run("truncate table {intermediate}.model_prices sync")
        emptied = price_table_age(house.look())
    finally:
        house.run("exchange tables {intermediate}.kept and {intermediate}.model_prices")
        house.run("drop table {intermediate}.kept sync")

    assert cut.level is not Level.OK
    assert int(cut.numbers["absent_prices"] or 0) > 0
    assert emptied.level is Level.ERROR


def test_each_family_and_raw_has_a_policy_of_the_thresholds_and_seeds_have_none() -> None:
    fast, raw = policy_for("fast"), policy_for("raw")
    assert fast is not None
    assert raw is not None
    assert fast != raw
    assert policy_for("hourly") is not None
    assert policy_for("daily") is not None
    assert policy_for("seeds") is None


def test_checks_answer_through_dagster_with_numbers(house: House) -> None:
    from dagster import AssetCheckKey, AssetKey, Definitions, in_process_executor

    from orchestration.defs import quality
    from orchestration.defs.quality.pipeline import ENTRIES
    from orchestration.lib.resources import Clock, MeterhouseResource

    # One of each step; drift would parse the project for this house's own home.
    names = [("/".join(one.asset), one.name) for one in ENTRIES if one.name != "manifest_drift"]
    names += [("raw/agent_events", "fresh"), ("marts/cost_by_route_daily", "newest_bucket")]
    names += [("marts/llm_daily", "newest_bucket"), ("raw/agent_events", "schema_as_migrated")]
    keys = {AssetCheckKey(AssetKey(asset.split("/")), name) for asset, name in names}
    resources = {"meterhouse": MeterhouseResource.of(house.models.settings), "clock": Clock()}
    merged = Definitions(
        asset_checks=quality.definitions.asset_checks, executor=in_process_executor, resources=resources
    )
    job = merged.resolve_implicit_global_asset_job_def().get_subset(asset_check_selection=keys)

    ran = job.execute_in_process()

    assert ran.success
    found = {one.asset_check_key: one for one in ran.get_asset_check_evaluations()}
    assert set(found) == keys
    assert all(one.metadata for one in found.values())
    assert found[AssetCheckKey(AssetKey(["raw", "agent_events"]), "completeness")].passed
    assert found[AssetCheckKey(AssetKey(["raw", "agent_events"]), "schema_as_migrated")].passed
    # A mart that this house did not build: said, not an end of the step.
    unbuilt = found[AssetCheckKey(AssetKey(["marts", "llm_daily"]), "newest_bucket")]
    assert (unbuilt.passed, "could not look" in str(unbuilt.description)) == (False, True)
