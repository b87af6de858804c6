"""The sensors as Dagster calls them: a tick says what it saw in numbers, moves its cursor, and sends nothing itself."""

import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from dagster import (
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    SensorDefinition,
    SkipReason,
    build_sensor_context,
)

from ingest.settings import Settings, load_settings
from ingest.warehouse import connect
from orchestration.defs.alerts.sensors import SENSORS
from orchestration.lib.alerts import unreachable
from orchestration.lib.alerts.channels import ChannelError
from orchestration.lib.alerts.notice import Notice
from orchestration.lib.alerts.routes import load_routes
from orchestration.lib.alerts.staleness import stale_tables
from orchestration.lib.alerts.store import Store
from orchestration.lib.freshness import Covered, Watermarks, model_fresh
from orchestration.lib.quality_finding import Level, Look
from orchestration.lib.quality_manifest import Node
from orchestration.lib.quality_thresholds import load_thresholds
from orchestration.lib.resources import Clock, MeterhouseResource
from tests.conftest import drop_databases
from tests.orchestration.alerts_support import House, minutes, signal
from tests.support.servers import free_port
from tests.support.shared import Engine

BY_NAME: Mapping[str, SensorDefinition] = {one.name: one for one in SENSORS}


@pytest.fixture(scope="module")
def house(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    settings = load_settings(
        home=tmp_path_factory.mktemp("sensors"), clickhouse_url=engine.url, environment="dev",
        database_prefix=f"t{uuid.uuid4().hex[:10]}_",
    )  # fmt: skip
    client = connect(settings.clickhouse, connect_timeout_s=5, request_timeout_s=60)
    yield House.built(client, settings)
    drop_databases(settings)
    client.close()


def tick(
    name: str, settings: Settings, at_minute: float, cursor: str | None = None, instance: DagsterInstance | None = None
) -> tuple[str, str]:
    """What the tick said, and its cursor."""
    with build_sensor_context(
        cursor=cursor,
        instance=instance,
        resources={
            "meterhouse": MeterhouseResource.of(settings),
            "clock": Clock(at=minutes(at_minute).isoformat()),
        },
    ) as context:
        said = BY_NAME[name](context)
        assert isinstance(said, SkipReason)
        return str(said.skip_message), str(context.cursor)


def newest_body(house: House) -> str:
    query = f"select body from {house.table('ops')}.alert_messages order by at desc limit 1"
    return str(house.client.query(query).result_rows[0][0])


def test_each_rule_is_judged_by_one_sensor_and_one_that_nobody_named_too(house: House) -> None:
    rules = {
        "slo_breach": ["burn_page", "somebody_added_this"],
        "budget": ["budget_hard", "budget_soft"],
        "spend_anomaly": ["spend_anomaly", "cost_per_minute"],
        "ingestion_stalled": ["pipeline_behind", "no_events"],
        "dead_letters": ["dead_letter_share"],
    }
    house.forget()
    every = [signal(rule_id=rule) for names in rules.values() for rule in names]
    house.shows(*every, complete_to=minutes(0))
    for name, names in rules.items():
        said, cursor = tick(name, house.settings, 2)
        assert f"{len(names)} alerts hold in {len(names)} groups, {len(names)} fire" in said
        assert "data complete to 2026-11-20 12:00 UTC (2 min ago)" in said
        assert all(f"firing {rule}/acme" in said for rule in names)
        again, _ = tick(name, house.settings, 3, cursor)
        assert "0 steps logged; messages: none" in again
        assert name == "ingestion_stalled" or "the models were not built since the last tick" in again
    assert len(house.log("rule_id")) == len(every)
    # Nothing has left: on a laptop the outbox is emptied into the log, and says why.
    said, _ = tick("alert_delivery", house.settings, 4)
    assert said.startswith("messages: 0 delivered, 0 failed, 0 given up, 0 waiting, ")
    assert "dry run: METERHOUSE_ENVIRONMENT is dev" in said
    assert "0 waiting" in tick("alert_delivery", house.settings, 5)[0]


def test_before_anything_is_built_a_tick_says_so_and_concludes_nothing(house: House, engine: Engine) -> None:
    empty = load_settings(
        home=house.settings.home, clickhouse_url=engine.url, environment="dev", database_prefix="nobody_built_this_"
    )
    assert tick("slo_breach", empty, 0)[0] == "nothing judged: the models are not built yet (`dbt build`)"


def no_builds(house: House) -> None:
    house.forget()
    ops = house.table("ops")
    house.client.command(f"drop table if exists {ops}.model_builds")
    house.client.command(
        f"create table {ops}.model_builds (model String, started_at DateTime64(3, 'UTC'), "
        "built_at DateTime64(3, 'UTC') default started_at) engine = MergeTree order by ()"
    )


PROGRESS = {
    "topic": "agent_events", "partition": 0, "topic_id": "x", "partition_count": 1, "owner": "me", "high_watermark": 9,
}  # fmt: skip


@pytest.mark.parametrize("family", ["fast", "hourly", "daily"])
def test_a_table_is_stale_for_the_alert_from_the_minute_on_in_which_its_check_fails(house: House, family: str) -> None:
    no_builds(house)
    built_at = datetime(2026, 11, 18, 12, tzinfo=UTC)
    house.put("ops.model_builds", [{"model": "one", "started_at": f"{built_at:%Y-%m-%d %H:%M:%S}"}])
    thresholds = load_thresholds()
    for minutes_more, is_stale in ((-1, False), (1, True)):
        now = built_at + timedelta(minutes=thresholds.freshness.of(family).fail_after_minutes + minutes_more)
        at = f"{now:%Y-%m-%d %H:%M:%S}"
        house.put("ops.load_progress", [{**PROGRESS, "complete_to": at, "reported_at": at}])
        found = stale_tables(Store(house.client, house.settings), now, {"one": family})
        arrived = Watermarks(now, True, {"one": Covered(built_at, built_at)})
        look = Look(house.settings, house.client, now, thresholds)
        level = model_fresh(look, arrived, Node("model", "one"), family).level
        assert ([one.subject for one in found.signals], level is Level.ERROR) == (
            [f"{family} tables"] if is_stale else [],
            is_stale,
        )


def test_a_table_is_stale_by_what_is_complete_and_not_by_the_clock(house: House) -> None:
    no_builds(house)
    # slo_5m is built every minute, llm_hourly hourly; a model that is no more is nobody's.
    house.put("ops.model_builds", [
        {"model": "slo_5m", "started_at": "2026-11-20 11:59:00"},
        {"model": "llm_hourly", "started_at": "2026-11-20 10:00:00"},
        {"model": "deleted", "started_at": "2020-01-01 00:00:00"},
    ])  # fmt: skip
    at = "2026-11-20 12:00:00"
    house.put("ops.load_progress", [{**PROGRESS, "complete_to": at, "reported_at": at}])
    # Nobody ever wrote to this one, and its loader is gone: nothing waits for it.
    unused = {**PROGRESS, "topic": "otlp_traces", "high_watermark": 0, "complete_to": "2026-11-20 09:00:00"}
    house.put("ops.load_progress", [unused])
    said, _ = tick("asset_freshness", house.settings, 600)
    assert said.startswith("0 of 2 tables stale; the oldest is 2 h behind what is complete (2026-11-20 12:00:00 UTC)")
    at = "2026-11-20 12:10:00"
    house.put("ops.load_progress", [{**PROGRESS, "complete_to": at, "reported_at": at}])
    said, _ = tick("asset_freshness", house.settings, 601)
    assert said.startswith("1 of 2 tables stale")
    assert "firing asset_stale/(all)" in said
    assert house.log("subject, value, threshold, since") == [
        ("fast tables", 660.0, 600.0, minutes(9).replace(tzinfo=None)),
    ]
    assert "slo_5m: 11 min behind" in newest_body(house)
    house.put("ops.model_builds", [{"model": "slo_5m", "started_at": "2026-11-20 12:10:00"}])
    tick("asset_freshness", house.settings, 602)
    assert "resolved asset_stale/(all)" in tick("asset_freshness", house.settings, 604)[0]


def test_a_job_that_failed_is_told_until_it_succeeds_whatever_was_missed_in_between(house: House) -> None:
    house.forget()
    now = datetime.now(UTC)
    at_minute = (now + timedelta(minutes=1) - minutes(0)).total_seconds() / 60
    with DagsterInstance.ephemeral() as instance:

        def ends(job: str, status: DagsterRunStatus, **tags: str) -> None:
            run = instance.add_run(DagsterRun(job_name=job, run_id=str(uuid.uuid4()), status=status, tags=tags))
            assert run.status is status

        ends("hourly", DagsterRunStatus.FAILURE)
        ends("hourly", DagsterRunStatus.FAILURE)
        ends("daily", DagsterRunStatus.SUCCESS)
        ends("fast", DagsterRunStatus.FAILURE, **{"dagster/will_retry": "true"})
        said, _ = tick("run_failure", house.settings, at_minute, instance=instance)
        assert said.startswith("1 of 1 jobs that failed in seven days have not succeeded since")
        assert house.log("subject, value, severity") == [("job hourly", 2.0, "ticket")]
        body = newest_body(house)
        assert "2 failed in a row" in body
        assert "hourly: run " in body
        assert "http://127.0.0.1:3000/runs?" in body
        ends("hourly", DagsterRunStatus.SUCCESS)
        later = at_minute + 5
        tick("run_failure", house.settings, later, instance=instance)
        assert "resolved run_failed/(all)" in tick("run_failure", house.settings, later + 5, instance=instance)[0]


def test_when_clickhouse_does_not_answer_people_are_told_past_the_log_once_and_when_it_does_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = load_settings(home=house.settings.home, clickhouse_url=f"http://127.0.0.1:{free_port()}", environment="dev")
    sent: list[tuple[str, str, str]] = []

    def send(routes: object, name: str, notice: Notice, key: str, reason: str) -> None:
        del routes, reason
        sent.append((name, notice.kind, key))

    monkeypatch.setattr("orchestration.defs.alerts.sensors.send_past_the_log", send)
    said, cursor = tick("ingestion_stalled", gone, 0)
    assert "cannot be reached" in said
    assert sent == []
    for minute in (1, 2, 3, 4):
        said, cursor = tick("ingestion_stalled", gone, minute, cursor)
    assert {(name, kind) for name, kind, _ in sent} == {
        ("oncall_pager", "firing"), ("oncall_slack", "firing"), ("platform_mail", "firing"),
    }  # fmt: skip
    assert len(sent) == 3
    house.forget()
    house.shows(complete_to=minutes(5))
    said, cursor = tick("ingestion_stalled", house.settings, 6, cursor)
    assert "ClickHouse answers again after 6 min; told 3" in said
    assert [kind for _, kind, _ in sent[3:]] == ["resolved"] * 3
    assert tick("ingestion_stalled", house.settings, 7, cursor)[0].count("answers again") == 0


def test_who_refuses_while_clickhouse_is_gone_is_asked_again_with_the_same_key() -> None:
    routes, keys, refuses = load_routes(), list[str](), {"oncall_slack"}

    def send(name: str, notice: Notice, key: str) -> None:
        keys.append(key)
        assert notice.message_id in key
        if name in refuses:
            raise ChannelError("HTTP 503")

    memory = unreachable.Memory(down_since=minutes(0))
    memory, words = unreachable.after_tick(memory, minutes(3), "gone", routes, send)
    assert "told 2 now; oncall_slack: HTTP 503" in words
    refuses.clear()
    memory = unreachable.remember(unreachable.cursor_of(memory))
    memory, _ = unreachable.after_tick(memory, minutes(4), "gone", routes, send)
    assert len(keys) == 4
    assert len(set(keys)) == 3
    assert set(memory.told) == {"oncall_pager", "oncall_slack", "platform_mail"}
    assert unreachable.remember("what an older version wrote") == unreachable.Memory()
