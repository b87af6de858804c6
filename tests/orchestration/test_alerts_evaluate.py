"""From a row of alerts_current to a message that somebody has, and to its end: on the engine, with a moved clock."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from typer.testing import CliRunner

from ingest.warehouse import connect
from orchestration.cli import alerts
from orchestration.lib.alerts.channels import ChannelError
from orchestration.lib.alerts.engine import Evaluated, evaluate
from orchestration.lib.alerts.matching import Matcher
from orchestration.lib.alerts.notice import Notice, as_text
from orchestration.lib.alerts.routes import Routes, load_routes, parse
from orchestration.lib.alerts.silences import add
from orchestration.lib.alerts.store import Store
from tests.orchestration.alerts_support import House, Recorder, minutes, own_house, signal
from tests.support.shared import Engine

# One channel, so that a message is one delivery; times as in the file that comes with the package.
ONE_CHANNEL = """
version: 1
deliver_in: [dev]
channels: {only: {kind: slack, url_env: NOWHERE}, second: {kind: slack, url_env: NOWHERE}}
routes: [{to: only}]
fallback: second
rules: {pipeline_behind: {judged_by: clock}}
"""


@pytest.fixture(scope="module")
def built(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with own_house(engine, tmp_path_factory.mktemp("alerts")) as house:
        yield house


@pytest.fixture
def house(built: House) -> House:
    built.forget()
    return built


def run(house: House, at_minute: float, to: Recorder, routes: Routes | None = None) -> Evaluated:
    return evaluate(
        house.client, house.settings, minutes(at_minute), {"*": to}, routes=routes or parse(ONE_CHANNEL, "test.yaml")
    )


def test_an_outage_is_one_page_to_each_channel_and_one_end(house: House) -> None:
    to, routes = Recorder(), load_routes()
    for minute in range(3):
        house.shows(signal(until=minutes(minute)), complete_to=minutes(minute))
        run(house, minute + 0.5, to, routes)
        run(house, minute + 0.9, to, routes)
    for minute in range(3, 12):
        house.shows(complete_to=minutes(minute))
        run(house, minute + 0.5, to, routes)
    assert to.kinds == ["firing", "firing", "resolved", "resolved"]
    assert [key.rpartition("/")[2] for key, _, _ in to.got] == ["oncall_pager", "oncall_slack"] * 2
    assert len({notice.thread for _, notice, _ in to.got}) == 1
    assert house.log("state, change") == [("firing", "fired"), ("firing", "quiet"), ("resolved", "resolved")]


def test_what_is_told_is_asked_of_the_log_by_whoever_starts_anew(house: House) -> None:
    """Nothing is kept in a process: another client, and another one, and nobody hears anything twice."""
    to = Recorder()
    house.shows(signal(), complete_to=minutes(0))
    for _ in range(3):
        client = connect(house.settings.clickhouse, connect_timeout_s=5, request_timeout_s=60)
        run(House(client, house.settings), 1, to)
        client.close()
    assert to.kinds == ["firing"]


def test_a_rule_and_workspace_is_one_message_whatever_its_subjects(house: House) -> None:
    to = Recorder()
    fifty = [signal(subject=f"agent-{number:02}", value=15 + number) for number in range(50)]
    house.shows(*fifty, signal(workspace_id="other"), signal(rule_id="error_rate"), complete_to=minutes(0))
    said = run(house, 1, to).say()
    assert "52 alerts hold in 3 groups, 52 fire" in said
    assert sorted((notice.rule_id, notice.workspace_id) for _, notice, _ in to.got) == [
        ("burn_page", "acme"), ("burn_page", "other"), ("error_rate", "acme"),
    ]  # fmt: skip
    (message,) = [one for _, one, _ in to.got if (one.rule_id, one.workspace_id) == ("burn_page", "acme")]
    assert (len(message.alerts), message.more) == (10, 40)
    assert message.alerts[0].subject == "agent-49"
    assert message.title.endswith("agent-49 burn 64 (limit 14.4) and 49 more")


def test_an_alert_on_hours_that_are_not_complete_waits_and_says_so(house: House) -> None:
    to = Recorder()
    house.shows(signal(until=minutes(10)), complete_to=minutes(0))
    said = run(house, 11, to).say()
    assert "0 fire, 1 wait for incomplete hours; data complete to 2026-11-20 12:00 UTC (11 min ago)" in said
    assert to.got == []
    assert house.log("state, waits_for") == [("pending", "incomplete hours")]
    house.shows(signal(until=minutes(10)), complete_to=minutes(10))
    run(house, 12, to)
    assert to.kinds == ["firing"]


def test_a_rule_that_was_not_judged_neither_ends_nor_forgets_its_alerts(house: House) -> None:
    to = Recorder()
    house.shows(signal(), signal(rule_id="error_rate"), complete_to=minutes(0))
    run(house, 1, to)
    # A build in which error_rate failed: its rows are those of before, its evaluation too.
    for minute in (10, 20, 30):
        house.shows(complete_to=minutes(minute), also_judged=["error_rate"])
        house.client.command(
            f"alter table {house.table('marts')}.alert_evaluations update as_of = '2026-11-20 12:00:00' "
            "where rule_id = 'error_rate' settings mutations_sync = 2"
        )
        said = run(house, minute, to).say()
    assert [(notice.kind, notice.rule_id) for _, notice, _ in to.got][2:] == [("resolved", "burn_page")]
    assert "not judged as far: error_rate" in said


def test_a_silence_holds_back_and_what_still_holds_is_told_after_it(house: House) -> None:
    to, store = Recorder(), Store(house.client, house.settings)
    silence = {"now": minutes(0), "starts_at": minutes(0), "ends_at": minutes(30)}
    add(store, Matcher(subject=("openai*",)), **silence, reason="known", who="ada")
    house.shows(signal(), signal(subject="azure_succeeds"), complete_to=minutes(0))
    said = run(house, 1, to).say()
    assert "1 wait for silence" in said
    assert [line.subject for line in to.got[0][1].alerts] == ["azure_succeeds"]
    assert any("1 more of this rule wait for silence" in one for one in to.got[0][1].remarks)
    house.shows(signal(until=minutes(30)), signal(subject="azure_succeeds", until=minutes(30)), complete_to=minutes(30))
    run(house, 31, to)
    assert to.kinds == ["firing", "worsened"]
    assert to.got[1][1].alerts[0].subject == "openai_succeeds"


def test_a_maintenance_window_does_the_same_by_the_file(house: House) -> None:
    window = "{name: upgrade, match: {workspace: acme}, days: fri, at: '13:00', for: 1h, timezone: Europe/Berlin}"
    routes, to = parse(f"{ONE_CHANNEL}\nmaintenance: [{window}]", "test.yaml"), Recorder()
    house.shows(signal(), complete_to=minutes(0))
    assert "1 wait for maintenance upgrade" in run(house, 59, to, routes).say()
    run(house, 60, to, routes)
    assert to.kinds == ["firing"]


def test_who_takes_longer_than_all_others_holds_nobody_up_and_gets_it_in_the_end(house: House) -> None:
    """Refused: a copy goes to the fallback at once, the channel is tried on, more and more rarely, in order."""
    to = Recorder(failures=[ChannelError("HTTP 404", is_final=True)])
    house.shows(signal(), complete_to=minutes(0))
    first = run(house, 0, to).delivered
    assert (first.failed, first.delivered) == (1, 1)
    assert "only: attempt 1 failed (HTTP 404), passed to second" in first.say()
    ((key, copy, _),) = to.got
    assert key.endswith("/second")
    assert copy.remarks[0] == "Sent here because it did not reach only (HTTP 404)."
    assert run(house, 0.1, to).delivered.delivered == 0
    run(house, 0.2, to)
    assert [key.rpartition("/")[2] for key, _, _ in to.got] == ["second", "only"]


def test_what_nobody_takes_is_tried_until_it_is_given_up_and_then_stays_in_sight(house: House) -> None:
    routes = parse(f"{ONE_CHANNEL}\ndelivery: {{give_up_after: 10m, longest_retry: 5m}}", "test.yaml")
    to = Recorder(failures=[ChannelError("no answer", is_unknown=True)] * 100)
    house.shows(signal(), complete_to=minutes(0))
    counts = [run(house, minute, to, routes).delivered for minute in (0, 1, 4, 11, 12, 20, 23)]
    assert sum(one.given_up for one in counts) == 2
    assert counts[-1].waiting == 0
    assert to.got == []
    shown = as_json(house, "current")
    assert list(shown["undelivered"][0]["channels"].values()) == ["given_up", "given_up"]


def test_an_end_is_not_delivered_before_the_beginning_is(house: House) -> None:
    to = Recorder(failures=[ChannelError("HTTP 503")] * 3)
    house.shows(signal(), complete_to=minutes(0))
    run(house, 0, to)
    for minute in (1, 7):
        house.shows(complete_to=minutes(minute))
        run(house, minute, to)
    run(house, 60, to)
    assert [notice.kind for key, notice, _ in to.got if key.endswith("only")] == ["firing", "resolved"]


def test_the_message_says_how_bad_whom_it_hurts_and_who_does_it(house: House) -> None:
    at, hour = "2026-11-20 11:55:00", "2026-11-20 11:00:00"
    house.put("intermediate.slo_objectives", [
        {"id": "openai_succeeds", "indicator": "llm_success", "agent": "*", "model": "openai/*", "tool_name": "*"}
    ])  # fmt: skip
    house.put("marts.slo_burn", [
        {"minute": at, "hour": hour, "objective_id": "openai_succeeds", "workspace_id": "acme", "owner": "finance",
         "burn_5m": 40, "burn_1h": 20, "burn_6h": 4, "budget_left": 0.25, "hours_to_empty": 9.0}
    ])  # fmt: skip
    house.put("marts.slo_5m", [
        {"minute": at, "objective_id": "openai_succeeds", "workspace_id": "acme", "good": 60, "valid": 100, "bad": 40}
    ])  # fmt: skip
    calls = [("triage", "gpt-5", 30), ("triage", "o4-mini", 7), ("reviewer", "gpt-5", 2), ("writer", "gpt-5", 1)]
    house.put("marts.agent_metrics_1m", [
        {"minute": at, "workspace_id": "acme", "agent": agent, "model": model, "calls": 100, "errors": errors}
        for agent, model, errors in [*calls, ("triage", "claude", 90)]
    ])  # fmt: skip
    house.put("marts.llm_hourly", [
        {"hour": hour, "workspace_id": "acme", "agent": "triage", "provider": "openai", "model": model}
        for model in ("gpt-5", "o4-mini")
    ])  # fmt: skip
    house.put("marts.error_breakdown_daily", [
        {"day": "2026-11-20", "workspace_id": "acme", "agent": "triage", "event_type": "llm_call", "model": "gpt-5",
         "error_class": name, "events": events} for name, events in (("rate_limit", 25), ("timeout", 5))
    ])  # fmt: skip
    to = Recorder()
    house.shows(signal(since=minutes(-5)), complete_to=minutes(0))
    run(house, 1, to, load_routes())
    message = to.got[0][1]
    assert message.how_bad == [
        "burn 40 / 20 / 4 in 5 min / 1 h / 6 h",
        "25 % of the budget left",
        "empty in 9 h at this rate",
    ]
    assert message.hurts == ["40 of 100 events bad in the last hour"]
    assert message.contributors == [
        "triage on gpt-5: 30 of 100 calls failed, mostly rate_limit",
        "triage on o4-mini: 7 of 100 calls failed",
        "reviewer on gpt-5: 2 of 100 calls failed",
    ]
    assert (message.owner, message.runbook) == ("finance", "docs/runbooks/burn_page.md")
    assert [key.rpartition("/")[2] for key, _, _ in to.got] == ["oncall_pager", "finance_slack"]
    assert "since 2026-11-20 11:55 UTC" in as_text(message)
    # The statement it links to runs as it stands.
    assert len(house.client.query(message.query).result_rows) == 1


def test_every_rule_there_is_has_figures_that_can_be_asked_for(house: House) -> None:
    """On empty marts: each statement fits the columns that the models promise."""
    rules = sorted(path.stem.removeprefix("alert_") for path in (House.root() / "models/alerts").glob("alert_*.sql"))
    rules = [rule for rule in rules if rule != "evaluations"]
    house.shows(*(signal(rule_id=rule) for rule in [*rules, "somebody_added_this"]), complete_to=minutes(0))
    to = Recorder()
    run(house, 1, to)
    messages: dict[str, Notice] = {notice.rule_id: notice for _, notice, _ in to.got}
    assert sorted(messages) == sorted([*rules, "somebody_added_this"])
    for rule, message in messages.items():
        assert not [one for one in message.remarks if "ClickHouse" in one], rule
        house.client.query(message.query)
    house.client.command(f"rename table {house.table('marts')}.slo_burn to {house.table('marts')}.away")
    try:
        house.shows(signal(workspace_id="new"), complete_to=minutes(0))
        run(house, 1, to)
        assert any("Figures are missing" in one for one in to.got[-1][1].remarks)
    finally:
        house.client.command(f"rename table {house.table('marts')}.away to {house.table('marts')}.slo_burn")


def as_json(house: House, *arguments: str) -> dict[str, list[dict[str, dict[str, str]]]]:
    printed = CliRunner().invoke(alerts, [*arguments, "--json"], env=house.environment(), catch_exceptions=False)
    assert printed.exit_code == 0, printed.output
    found: dict[str, list[dict[str, dict[str, str]]]] = json.loads(printed.output)
    return found


def command(house: House, *arguments: str) -> str:
    printed = CliRunner().invoke(
        alerts, list(arguments), env={**house.environment(), "COLUMNS": "200"}, catch_exceptions=False
    )
    assert printed.exit_code == 0, printed.output
    return printed.output


def test_a_person_sees_silences_takes_and_looks_back(house: House) -> None:
    now = datetime.now(minutes(0).tzinfo).replace(microsecond=0)
    house.shows(signal(since=now, until=now), signal(subject="[bold]x[/]", since=now, until=now), complete_to=now)
    assert "next tick" in command(house, "current")
    to = Recorder()
    evaluate(house.client, house.settings, now, {"*": to}, routes=parse(ONE_CHANNEL, "test.yaml"))
    shown = command(house, "current")
    assert "[bold]x[/]" in shown
    assert "dry run: METERHOUSE_ENVIRONMENT is dev" in shown
    assert "acknowledged openai_succeeds" in command(
        house, "acknowledge", "burn_page", "acme", "--subject", "openai_succeeds", "--note", "on it", "--by", "ada"
    )
    states = {str(one["subject"]): str(one["state"]) for one in as_json(house, "current")["alerts"]}
    assert states == {"openai_succeeds": "acknowledged", "[bold]x[/]": "firing"}
    silenced = command(house, "silence", "--rule", "burn_*", "--for", "2h", "--why", "known", "--by", "ada")
    assert "silence" in command(house, "silences")
    later = evaluate(house.client, house.settings, now + timedelta(hours=1), {"*": to}, routes=load_routes())
    assert later.judged.told == []
    assert "has ended" in command(house, "unsilence", silenced.split()[1])
    assert as_json(house, "silences")["silences"] == []
    lives = as_json(house, "history")["alerts"]
    assert {str(one["acknowledged_by"]) for one in lives} == {"ada", ""}
    assert "only delivered" in command(house, "history", "--messages")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["silence", "--why", "x", "--for", "1h"], "Say what"),
        (["silence", "--why", "x", "--rule", "a"], "Say how long"),
        (["silence", "--why", "x", "--rule", "a", "--for", "soon"], "'soon' is no time"),
        (["silence", "--why", "x", "--rule", "a", "--until", "2020-01-01"], "is over"),
        (["unsilence", "nope"], "No silence nope holds"),
        (["acknowledge", "burn_page"], "No alert of burn_page is open"),
    ],
)
def test_a_command_that_makes_no_sense_says_so_in_a_sentence(house: House, arguments: list[str], says: str) -> None:
    printed = CliRunner().invoke(alerts, arguments, env=house.environment())
    assert says in str(printed.exception)
