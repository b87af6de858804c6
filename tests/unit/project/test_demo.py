"""The demo disturbs nothing that it did not make, and goes red where one number is off."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from ingest.demo.checks import Landed, Produced, compare
from ingest.demo.ground import clear_ground, demo_settings
from ingest.embedded.clickhouse.owner import own
from ingest.embedded.report import Report, TopicLine
from ingest.errors import MeterhouseError
from ingest.settings import load_settings

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PRODUCED = Produced(
    messages=12,
    events=9,
    copies=1,
    refused={"invalid_value": 2},
    outcomes={("acme", "llm_call", "ok"): 8, ("acme", "tool_call", "error"): 1},
    costs={"acme": Decimal("1.25"), "zeta": Decimal(0)},
)
LANDED = Landed(
    rows=9,
    events=9,
    ledger_messages=12,
    ledger_landed=10,
    ledger_lost=0,
    refused={"invalid_value": 2},
    outcomes=PRODUCED.outcomes,
    costs={"acme": Decimal("1.250000000000")},
)
STATUS = Report(topics=[TopicLine("agent_events", 3, 12, 0)])


def unmet(landed: Landed, status: Report = STATUS) -> int:
    return sum(not check.is_met for check in compare(PRODUCED, landed, status, "agent_events"))


def test_all_checks_are_met_where_everything_landed_once() -> None:
    assert unmet(LANDED) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        replace(LANDED, events=8),
        replace(LANDED, events=10),
        replace(LANDED, ledger_messages=11),
        replace(LANDED, ledger_landed=9),
        replace(LANDED, ledger_lost=1),
        replace(LANDED, refused={"invalid_value": 1, "not_json": 1}),
        replace(LANDED, outcomes={("acme", "llm_call", "ok"): 9}),
        replace(LANDED, costs={"acme": Decimal("1.250000000001")}),
        replace(LANDED, costs={"acme": Decimal("1.25"), "zeta": Decimal("0.01")}),
    ],
)
def test_one_number_off_fails_a_check(wrong: Landed) -> None:
    assert unmet(wrong) >= 1


@pytest.mark.parametrize("topic", [TopicLine("agent_events", 3, 13, 0), TopicLine("agent_events", 3, 12, None)])
def test_what_the_broker_holds_or_does_not_tell_fails_a_check(topic: TopicLine) -> None:
    assert unmet(LANDED, Report(topics=[topic])) == 1


def test_a_demo_takes_a_home_and_ports_that_a_running_stack_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERHOUSE_EMBEDDED_KAFKA_PORT", "21390")
    up = load_settings()
    demo = demo_settings(up)
    assert demo.home == up.home / "demo"
    assert demo.embedded_kafka_port == 21390  # what was asked for stays
    assert demo.embedded_clickhouse_port != up.embedded_clickhouse_port
    assert demo.metrics_port == 0


def test_on_servers_of_the_user_a_demo_uses_names_of_its_own() -> None:
    theirs = load_settings(clickhouse_url="http://127.0.0.1:1", kafka_bootstrap="127.0.0.1:2")
    demo = demo_settings(theirs, NOON)
    assert demo.database("raw") == "demo_20261123_120000_raw"
    assert demo.topic("agent_events") == "demo_20261123_120000_agent_events"
    assert demo.consumer_group != theirs.consumer_group


def test_data_that_no_demo_made_stays_and_stops_the_demo(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    kept = tmp_path / "clickhouse" / "part"
    kept.parent.mkdir()
    kept.write_text("rows")
    with pytest.raises(MeterhouseError, match="no demo made"):
        clear_ground(settings, lambda _: None)
    assert kept.read_text() == "rows"


def test_a_second_demo_starts_empty_and_says_so(tmp_path: Path) -> None:
    settings, said = load_settings(home=tmp_path), list[str]()
    clear_ground(settings, said.append)
    (tmp_path / "clickhouse").mkdir()
    (tmp_path / "clickhouse" / "part").write_text("rows")
    clear_ground(settings, said.append)
    assert not (tmp_path / "clickhouse").exists()
    assert len(said) == 1
    assert "starts from empty tables" in said[0]


def test_a_stack_that_runs_in_the_demos_home_is_not_pulled_from_under_its_user(tmp_path: Path) -> None:
    from ingest.embedded import processes

    (tmp_path / "run").mkdir()
    state = {"name": "engine", "pid": os.getpid(), "identity": processes.identity(os.getpid()), "address": "here"}
    state |= {"argv": [], "started_at": NOON.isoformat(), "log": ""}
    (tmp_path / "run" / "engine.json").write_text(json.dumps(state))
    with pytest.raises(MeterhouseError, match=r"engine \(pid \d+\).*meterhouse down"):
        clear_ground(load_settings(home=tmp_path), lambda _: None)


def test_an_engine_started_by_hand_on_the_demos_folder_keeps_it(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    clear_ground(settings, lambda _: None)
    lock = own(tmp_path / "clickhouse")
    try:
        with pytest.raises(MeterhouseError, match=f"in use by process {os.getpid()}"):
            clear_ground(settings, lambda _: None)
    finally:
        os.close(lock)
    assert (tmp_path / "clickhouse").exists()
