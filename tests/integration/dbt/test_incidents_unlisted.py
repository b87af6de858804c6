"""Incidents that nobody asked for, made out of a quiet company's events: who is woken, who is told, and who is not.

Everything has landed and is built once; then the marts' clock is set to one moment after the other and each rule's own
SQL is asked, as in the quiet week (bench/incidents_quiet.py).
"""

import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

import pytest

from bench.incidents import DAY, END, EVENTS, HOURS
from bench.incidents_house import MINUTE, company
from bench.incidents_quiet import judge_at
from ingest.settings import load_settings
from ingest.warehouse import connect
from tests.conftest import drop_databases
from tests.support.models import Event, Models
from tests.support.shared import Engine

pytestmark = pytest.mark.incidents
Alerts = Mapping[datetime, frozenset[tuple[str, str]]]

BIG, MIDDLE, SMALL = "lumen-retail", "harbor-logistics", "kestrel-games"
NIGHT, MODEL_OUT, BURST, SLOWED, LATE = (DAY + timedelta(hours=hours) for hours in (0, 9, 11 + 1 / 6, 12.5, 14))
# Sums of a day are those of the whole day here, whatever the clock says: budgets and new errors are judged elsewhere.
OF_THE_DAY = frozenset({"budget_hard", "budget_soft", "new_error_class"})
WAKES = frozenset({"error_rate", "burn_page", "latency_p90", "no_events", "cost_per_minute"})


def at(hour: int, minute: int) -> datetime:
    return DAY + timedelta(hours=hour, minutes=minute)


MOMENTS = [
    at(*one)
    for one in (
        (2, 1), (4, 1), (7, 46), (9, 6), (9, 16), (10, 1), (11, 16), (11, 31), (12, 11), (13, 31), (17, 6), (18, 56),
    )
]  # fmt: skip


def unlisted(events: Iterable[Event]) -> Iterator[Event]:
    """The day with what goes wrong in it."""
    at_night: Counter[tuple[str, str]] = Counter()
    for event in events:
        text, who, is_call = str(event["occurred_at"]), event["workspace_id"], event["event_type"] == "llm_call"
        moment = datetime.fromisoformat(f"{text}+00:00")
        if who == BIG and moment >= at(10, 0):
            other_id = str(uuid.uuid5(uuid.NAMESPACE_OID, str(event["event_id"])))
            yield {**event, "event_id": other_id, "workspace_id": "newcomer"}  # its first day, and all is well
        # Three calls an hour at night, every night; in the last one, and until eight, each of them fails.
        if who == SMALL and is_call and moment.hour < 6:
            at_night[text[:13], SMALL] += 1
            if at_night[text[:13], SMALL] > 3:
                continue
        fails = is_call and (
            (who == SMALL and NIGHT <= moment < at(8, 0))
            or (MODEL_OUT <= moment < MODEL_OUT + 20 * MINUTE and str(event["model"]).startswith("claude-sonnet-4-5"))
            or (BURST <= moment < BURST + 1.5 * MINUTE)
            or (who == MIDDLE and LATE <= moment < LATE + 45 * MINUTE)
        )
        if fails:
            yield {**event, "status": "error", "error_type": "server_error"}
        elif is_call and SLOWED <= moment < SLOWED + 60 * MINUTE and isinstance(event.get("latency_ms"), int | float):
            yield {**event, "latency_ms": 2 * float(str(event["latency_ms"]))}
        else:
            yield event


@pytest.fixture(scope="module")
def said(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alerts]:
    """Rule and workspace of what held, by moment."""
    home = tmp_path_factory.mktemp("unlisted")
    settings = load_settings(home=home, clickhouse_url=engine.url, database_prefix=f"t{uuid.uuid4().hex[:10]}_")
    client = connect(settings.clickhouse, connect_timeout_s=5, request_timeout_s=300)
    models = Models(settings, client, END.strftime("%Y-%m-%d %H:%M:%S"))
    models.set_up()
    models.land(unlisted(one.event for one in company(END, HOURS, EVENTS, ())))
    models.build("-s", "+alerts_current")
    told = {
        moment: frozenset((str(one["rule_id"]), str(one["workspace_id"])) for one in judge_at(models, [moment]).alerts)
        for moment in MOMENTS
    }
    yield told
    drop_databases(settings)
    client.close()


def woken(said: Alerts, moment: datetime) -> set[tuple[str, str]]:
    return {(rule, who) for rule, who in said[moment] if rule in WAKES}


def test_three_calls_an_hour_wake_nobody_and_their_failing_all_night_is_told_when_it_is_no_chance(said: Alerts) -> None:
    assert woken(said, at(2, 1)) == woken(said, at(4, 1)) == set()
    assert ("burn_page", SMALL) in said[at(7, 46)]


def test_one_model_that_fails_is_a_page_for_its_agents_and_a_ticket_with_its_name(said: Alerts) -> None:
    assert woken(said, at(9, 6)) == {("error_rate", BIG)}
    assert ("error_rate_15m", BIG) in said[at(9, 16)]
    assert ("error_rate", BIG) not in said[at(10, 1)]


def test_ninety_seconds_of_failures_are_over_with_their_five_minutes_and_burn_no_budget(said: Alerts) -> None:
    assert ("error_rate", BIG) in said[at(11, 16)]
    assert woken(said, at(11, 31)) == woken(said, at(12, 11)) == set()


def test_calls_of_twice_the_latency_within_their_objective_wake_nobody(said: Alerts) -> None:
    assert woken(said, at(13, 31)) == set()


def test_an_outage_that_is_heard_of_three_hours_late_is_history_and_wakes_nobody(said: Alerts) -> None:
    assert woken(said, at(17, 6)) == woken(said, at(18, 56)) == set()


def test_a_workspace_on_its_first_day_is_no_alert_by_being_new(said: Alerts) -> None:
    # It does what the big one does from ten on, without what goes wrong there.
    told = {rule for alerts in said.values() for rule, who in alerts if who == "newcomer"}
    assert told <= OF_THE_DAY
