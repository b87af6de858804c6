"""What the simulator says went wrong is what on-call is told, while it lasts: the right people, the right minutes.

One company over 54 hours, with nothing late or broken but four incidents at known times. Its events land as time goes
by, and after each landing the alerts are read as they stand then; `house.at` has them by moment.
"""

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest.settings import load_settings
from ingest.simulate import SimulationConfig, play
from ingest.simulate.config import MINUTE_MS, IncidentKind, IncidentRequest
from ingest.warehouse import connect
from tests.conftest import drop_databases
from tests.support.models import Event, Models, Rows
from tests.support.shared import Engine

TODAY = datetime(2026, 11, 19, tzinfo=UTC)
# A Thursday: the silence is held against the same hours of Tuesday and Wednesday.
END, HOURS = TODAY + timedelta(hours=18), 54
QUIET, LOOP_AND_SILENCE, OUTAGE, OVER = (
    TODAY + timedelta(hours=hour, minutes=minute) for hour, minute in ((12, 55), (13, 30), (16, 40), (18, 0))
)
# Objectives of 97.5 %: an hour's budget burns 14.4 times too fast once 36 % of the hour's calls failed, 23 minutes into
# an outage of 95 %. So this one is longer than the simulator's own half hour.
INCIDENTS: tuple[tuple[IncidentKind, str, datetime, int], ...] = (
    ("runaway_agent", "harbor-logistics/contract-reader", TODAY + timedelta(hours=13), 45),
    ("stopped_producer", "lumen-retail", TODAY + timedelta(hours=13), 60),
    ("provider_outage", "openai", TODAY + timedelta(hours=16), 45),
    ("slow_tool", "fetch_url", TODAY + timedelta(hours=16), 60),
)
Printed = Mapping[str, tuple[datetime, datetime]]


@dataclass(frozen=True)
class House:
    """`printed`: from and until of each incident, by kind; `at`: the rows of alerts_current, by moment."""

    models: Models
    printed: Printed
    at: Mapping[datetime, Rows]

    def alerts(self, moment: datetime, rule_id: str) -> dict[tuple[object, object], Mapping[str, object]]:
        """A rule's alerts at a moment, by workspace and subject."""
        return {(row["workspace_id"], row["subject"]): row for row in self.at[moment] if row["rule_id"] == rule_id}


@pytest.fixture(scope="module")
def house(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("incidents")
    printed = _simulate(home / "sent.ndjson")
    settings = load_settings(home=home, clickhouse_url=engine.url, database_prefix=f"t{uuid.uuid4().hex[:10]}_")
    client = connect(settings.clickhouse, connect_timeout_s=5, request_timeout_s=60)
    models = Models(settings, client, "")
    models.set_up()
    waiting = _read(home / "sent.ndjson")
    at: dict[datetime, Rows] = {}
    for moment in (QUIET, LOOP_AND_SILENCE, OUTAGE, OVER):
        models.as_of = moment.strftime("%Y-%m-%d %H:%M:%S")
        models.land(event for event in waiting if str(event["occurred_at"]) < models.as_of)
        waiting = [event for event in waiting if str(event["occurred_at"]) >= models.as_of]
        models.build("-s", "+alerts_current", "+tool_reliability")
        at[moment] = models.rows("marts.alerts_current")
    yield House(models, printed, at)
    drop_databases(settings)
    client.close()


def _simulate(out: Path) -> Printed:
    config = SimulationConfig(
        end_ms=int(END.timestamp() * 1000), hours=HOURS, events=80_000, seed=11, workspaces=3,
        duplicate_rate=0, correction_rate=0, late_rate=0, malformed_rate=0, extra_rate=0,
        incidents=tuple(
            IncidentRequest(kind, int(start.timestamp() * 1000), minutes * MINUTE_MS, subject)
            for kind, subject, start, minutes in INCIDENTS
        ),
    )  # fmt: skip
    play.play(config, out=out, truth_path=out.with_suffix(".truth.json"))
    truth = json.loads(out.with_suffix(".truth.json").read_text())
    return {
        one["kind"]: (datetime.fromisoformat(one["start"]), datetime.fromisoformat(one["end"]))
        for one in truth["incidents"]
    }


def _read(file: Path) -> list[Event]:
    """In the order of time, which is text of one shape here: producers write it in several."""
    events = [json.loads(line) for line in file.read_text().splitlines()]
    for event in events:
        at = event["occurred_at"]
        moment = datetime.fromtimestamp(at / 1000, UTC) if isinstance(at, int) else datetime.fromisoformat(at)
        event["occurred_at"] = moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    return sorted(events, key=lambda event: str(event["occurred_at"]))


def test_an_outage_pages_for_the_provider_and_the_workspace_that_lives_on_it(house: House) -> None:
    start, end = house.printed["provider_outage"]
    pages = house.alerts(OUTAGE, "burn_page")
    # The others have too few calls of that provider to be woken up for it.
    assert list(pages) == [("harbor-logistics", "openai_succeeds")]
    page = pages["harbor-logistics", "openai_succeeds"]
    assert start < _time(page, "since") < start + timedelta(minutes=30)
    assert _time(page, "until") == OUTAGE < end
    assert _number(page, "value") > _number(page, "threshold") == 14.4

    burning = house.models.rows(
        "marts.slo_burn",
        "min(minute) as first_at, max(minute) as last_at",
        "objective_id = 'openai_succeeds' and workspace_id = 'harbor-logistics' and is_page_fast",
    )[0]
    assert start < _time(burning, "first_at") < end
    # The short window of 5 minutes lets go as soon as calls succeed again.
    assert end - timedelta(minutes=5) <= _time(burning, "last_at") <= end + timedelta(minutes=5)


def test_an_outage_shows_as_an_error_rate_of_its_models_and_of_the_agents_that_use_them(house: House) -> None:
    start, end = house.printed["provider_outage"]
    models = house.alerts(OUTAGE, "error_rate_15m")
    assert ("harbor-logistics", "gpt-4o-mini") in models
    assert all(str(subject).startswith(("gpt-", "o4-")) for _, subject in models)
    agents = house.alerts(OUTAGE, "error_rate")
    assert ("harbor-logistics", "support-triage") in agents
    assert all(start <= _time(row, "since") < end for row in [*models.values(), *agents.values()])


def test_a_slow_tool_that_times_out_is_under_its_objective(house: House) -> None:
    start, end = house.printed["slow_tool"]
    found = house.alerts(OUTAGE, "tool_success")
    assert list(found) == [("lumen-retail", "tool_calls_succeed")]
    assert start <= _time(found["lumen-retail", "tool_calls_succeed"], "since") < end
    worst = house.models.rows(
        "marts.tool_reliability",
        "argMax(tool_name, timeout) as tool_name",
        f"workspace_id = 'lumen-retail' and hour = '{start:%Y-%m-%d %H:%M:%S}'",
    )
    assert worst == [{"tool_name": "fetch_url"}]


def test_an_agent_in_a_loop_pages_for_what_it_costs(house: House) -> None:
    start, _ = house.printed["runaway_agent"]
    found = house.alerts(LOOP_AND_SILENCE, "cost_per_minute")
    # A quarter of an hour is one bucket, and the second ends with the moment it is read.
    assert _time(found["harbor-logistics", "contract-reader"], "since") == start


def test_a_producer_that_stopped_pages_from_the_minute_it_fell_silent(house: House) -> None:
    start, _ = house.printed["stopped_producer"]
    found = house.alerts(LOOP_AND_SILENCE, "no_events")
    assert list(found) == [("lumen-retail", "all events")]
    assert _time(found["lumen-retail", "all events"], "since") == start


def test_nobody_is_woken_up_before_nor_after(house: House) -> None:
    # What a minute costs is left out: a few runs of a dear model at noon can be five times what a night is used to.
    for moment in (QUIET, OVER):
        pages = [row for row in house.at[moment] if row["severity"] == "page" and row["rule_id"] != "cost_per_minute"]
        assert pages == [], moment
    for moment in (QUIET, OUTAGE, OVER):
        assert house.alerts(moment, "no_events") == {}
        assert ("harbor-logistics", "contract-reader") not in house.alerts(moment, "cost_per_minute")
    assert house.alerts(OVER, "tool_success") == {}
    assert house.alerts(OVER, "error_rate_15m") == {}


def _time(row: Mapping[str, object], column: str) -> datetime:
    """DateTime('UTC') as the client gives it: aware or not, by its version's settings."""
    value = row[column]
    assert isinstance(value, datetime), column
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _number(row: Mapping[str, object], column: str) -> float:
    value = row[column]
    assert isinstance(value, float), column
    return value
