"""What the simulator says went wrong is what on-call is told: once, to the right people, in time, and that it is over.

One company over 55 hours, with four incidents at known times and a loader that stops; some events are late, sent twice
or corrected. They land as they arrive; at a few moments, those at which a message is due at the latest, the models are
built and the alerts evaluated. `python -m bench.incidents` does so minute by minute and knows the times themselves.
"""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from bench.incidents import (
    DAY,
    END,
    EVENTS,
    HOURS,
    INCIDENTS,
    LOADER_STOPS,
    LOOP,
    OUTAGE,
    SILENCE,
    SLOW,
    stop_the_loader,
)
from bench.incidents_house import House, company
from bench.incidents_quiet import Quiet, judge_at
from ingest.settings import load_settings
from ingest.warehouse import connect
from tests.conftest import drop_databases
from tests.support.models import Models, Rows
from tests.support.shared import Engine

pytestmark = pytest.mark.incidents
QUIET = DAY + timedelta(hours=12, minutes=55)
# A minute after the first five that failed, which leaves another for building; and when what takes longer is due. A
# workspace of that many runs is silent for ten minutes before it is no chance.
SILENT, LOOPING, OVER_BUDGET, QUIET_AGAIN, FAILING, BURNING, REPAIRED, CALM = (
    DAY + timedelta(hours=hour, minutes=minute)
    for hour, minute in ((13, 11), (13, 15), (14, 10), (14, 40), (16, 6), (16, 36), (17, 10), (17, 20))
)


@dataclass(frozen=True)
class Day:
    """`rows`: alerts_current by moment; `house.messages`: what a person got; `quiet`: the hours before, judged then."""

    house: House
    rows: Mapping[datetime, Rows]
    quiet: Quiet

    def alerts(self, moment: datetime, rule_id: str) -> dict[tuple[object, object], Mapping[str, object]]:
        """A rule's alerts at a moment, by workspace and subject."""
        return {(row["workspace_id"], row["subject"]): row for row in self.rows[moment] if row["rule_id"] == rule_id}

    def kinds(self, rule_id: str, workspace_id: str, before: datetime = END) -> list[str]:
        return [one.notice.kind for one in self.house.told(rule_id, workspace_id) if one.at < before]


@pytest.fixture(scope="module")
def day(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    home = tmp_path_factory.mktemp("incidents")
    events = company(END, HOURS, EVENTS, INCIDENTS)
    settings = load_settings(home=home, clickhouse_url=engine.url, database_prefix=f"t{uuid.uuid4().hex[:10]}_")
    client = connect(settings.clickhouse, connect_timeout_s=5, request_timeout_s=60)
    models = Models(settings, client, "")
    models.set_up()
    house, rows = House(models, events), dict[datetime, Rows]()
    house.go(QUIET)
    quiet = judge_at(models, [QUIET - timedelta(hours=hours) for hours in (0, 1, 5, 10, 16)])
    for moment in (SILENT, LOOPING, OVER_BUDGET, QUIET_AGAIN, FAILING, BURNING, REPAIRED, CALM):
        house.go(moment)
        rows[moment] = models.rows("marts.alerts_current")
    stop_the_loader(house, closely=False)
    yield Day(house, rows, quiet)
    drop_databases(settings)
    client.close()


def test_an_outage_pages_within_the_fast_window_and_two_minutes_once_and_ends(day: Day) -> None:
    first = day.house.told("error_rate", "harbor-logistics")[0]
    assert first.notice.severity == "page"
    assert first.at == FAILING
    assert "support-triage" in {line.subject for line in first.notice.alerts}
    assert all(OUTAGE.start <= line.since < OUTAGE.end for line in first.notice.alerts)
    told = day.kinds("error_rate", "harbor-logistics")
    assert told.count("firing") == 1
    assert told[-1] == "resolved"


def test_an_outage_burns_the_budget_of_the_workspace_that_lives_on_the_provider(day: Day) -> None:
    pages = day.alerts(BURNING, "burn_page")
    # The others have too few calls of that provider to be woken up for it.
    assert list(pages) == [("harbor-logistics", "openai_succeeds")]
    page = pages["harbor-logistics", "openai_succeeds"]
    assert OUTAGE.start < _time(page, "since") < OUTAGE.end
    assert _number(page, "value") > _number(page, "threshold") == 14.4
    told = day.kinds("burn_page", "harbor-logistics")
    assert (told.count("firing"), told[-1]) == (1, "resolved")
    assert all(str(subject).startswith(("gpt-", "o4-")) for _, subject in day.alerts(BURNING, "error_rate_15m"))


def test_a_slow_tool_makes_a_ticket(day: Day) -> None:
    told = day.house.told("tool_latency", "lumen-retail", "fetch_url")
    assert (told[0].notice.severity, told[0].at) == ("ticket", BURNING)
    assert SLOW.start <= told[0].notice.alerts[0].since < SLOW.end
    kinds = [one.notice.kind for one in told]
    assert (kinds.count("firing"), kinds[-1]) == (1, "resolved")


def test_an_agent_in_a_loop_pages_for_what_it_costs_and_trips_the_hard_budget(day: Day) -> None:
    burst = day.house.told("cost_per_minute", "harbor-logistics", "contract-reader")
    assert LOOP.start < burst[0].at <= LOOPING
    assert burst[-1].notice.is_over
    (spent,) = [
        one for one in day.house.told("budget_hard", "harbor-logistics", "actor") if one.notice.kind == "firing"
    ]
    assert spent.notice.severity == "page"
    assert LOOP.start < spent.at <= OVER_BUDGET


def test_a_producer_that_stopped_pages_from_the_minute_it_fell_silent(day: Day) -> None:
    first = day.house.told("no_events", "lumen-retail")[0]
    assert first.at == SILENT
    assert first.notice.alerts[0].since == SILENCE.start
    assert day.kinds("no_events", "lumen-retail") == ["firing", "resolved"]


def test_a_stopped_loader_says_behind_once_and_burns_nothing_on_half_data(day: Day) -> None:
    during = [one.notice for one in day.house.messages if one.at > LOADER_STOPS]
    # What began before goes on: a day's budget is recalled each hour.
    begun = [(one.rule_id, one.kind) for one in during if one.kind in ("firing", "worsened")]
    assert begun == [("pipeline_behind", "firing")]
    assert day.kinds("pipeline_behind", "") == ["firing", "resolved"]


def test_nobody_is_told_anything_before_nor_after(day: Day) -> None:
    assert [one for one in day.house.messages if one.at < LOOP.start] == []
    pages = {one.notice.rule_id for one in day.house.messages if one.notice.severity == "page"}
    assert pages == {"error_rate", "burn_page", "cost_per_minute", "budget_hard", "no_events", "pipeline_behind"}
    open_ones = {one.notice.thread for one in day.house.messages} - {
        one.notice.thread for one in day.house.messages if one.notice.is_over
    }
    # A day's budget is over until midnight, and the slow windows of a ticket go on for hours.
    assert {thread.split("/")[0] for thread in open_ones} <= {"budget_hard", "budget_soft", "burn_ticket"}


def test_no_rule_says_anything_in_hours_in_which_nothing_is_wrong(day: Day) -> None:
    assert day.quiet == Quiet(5, [])


def _time(row: Mapping[str, object], column: str) -> datetime:
    """DateTime('UTC') as the client gives it: aware or not, by its version's settings."""
    value = row[column]
    assert isinstance(value, datetime), column
    return value if value.tzinfo else value.replace(tzinfo=DAY.tzinfo)


def _number(row: Mapping[str, object], column: str) -> float:
    value = row[column]
    assert isinstance(value, float), column
    return value
