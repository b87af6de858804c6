"""Incidents are where, when and as bad as they say, and nowhere else."""

from dataclasses import replace
from itertools import pairwise
from statistics import median

import pytest

from ingest.errors import SettingsError
from ingest.simulate import Simulation, SimulationConfig, simulate
from ingest.simulate.config import IncidentRequest, parse_incident, parse_time
from ingest.simulate.incidents import Incident
from tests.unit.simulate.reading import END_MS, Event, read_event

START = "2026-11-18T07:00Z"
BASE = SimulationConfig(end_ms=END_MS, events=60_000, hours=12).without_faults()


def played(text: str) -> tuple[Incident, list[Event]]:
    """The one incident asked for, and all events of a simulation with it."""
    config = replace(BASE, incidents=(parse_incident(text),))
    incident = Simulation(config).incidents[0]
    return incident, [read_event(message.value) for message in simulate(config)]


def is_during(incident: Incident, event: Event) -> bool:
    begun_ms = event.at_ms - event.latency_ms()
    return incident.start_ms <= begun_ms < incident.end_ms


def failed_share(events: list[Event]) -> float:
    return sum(event.word("status") in ("error", "timeout") for event in events) / len(events)


def test_a_provider_outage_fails_its_calls_for_its_time_and_no_others() -> None:
    incident, events = played(f"provider_outage:anthropic@{START}/30m")
    assert (incident.start_ms, incident.end_ms - incident.start_ms) == (parse_time(START, ""), 30 * 60_000)
    calls = [event for event in events if event.word("event_type") == "llm_call"]
    mine = [event for event in calls if event.word("provider") == "anthropic"]
    during = [event for event in mine if is_during(incident, event)]
    assert len(during) > 50
    assert failed_share(during) > 0.9
    assert {event.word("error_type") for event in during} >= {"api_error_503", "timeout"}
    assert failed_share([event for event in mine if not is_during(incident, event)]) < 0.06
    others = [event for event in calls if event.word("provider") != "anthropic" and is_during(incident, event)]
    assert failed_share(others) < 0.1


def test_a_slow_tool_takes_about_twenty_times_as_long_and_times_out() -> None:
    incident, events = played(f"slow_tool:run_python@{START}/60m")
    calls = [event for event in events if event.word("tool_name") == "run_python"]
    during = [event for event in calls if is_during(incident, event)]
    before = [event for event in calls if not is_during(incident, event)]
    times = median(event.latency_ms() for event in during) / median(event.latency_ms() for event in before)
    assert len(during) > 30
    assert 12 < times < 30
    assert sum(event.word("status") == "timeout" for event in during) / len(during) > 0.1
    assert sum(event.word("status") == "timeout" for event in before) / len(before) < 0.02
    assert max(event.latency_ms() for event in during) == 60_000


def test_a_runaway_agent_is_one_run_with_many_times_the_usual_calls() -> None:
    subject = next(iter(Simulation(replace(BASE, incidents=(IncidentRequest("runaway_agent"),))).incidents)).subject
    incident, events = played(f"runaway_agent:{subject}@{START}/30m")
    workspace, agent = subject.split("/")
    calls = [
        event
        for event in events
        if event.word("workspace_id") == workspace
        and event.word("agent") == agent
        and event.word("event_type") == "llm_call"
    ]
    during = [event for event in calls if is_during(incident, event)]
    runs = [event.word("run_id") for event in during]
    loop = max(set(runs), key=runs.count)
    usual_a_minute = (len(calls) - len(during)) / (BASE.hours * 60 - 30)
    assert runs.count(loop) / 30 > 15 * usual_a_minute
    of_loop = [event for event in events if event.word("run_id") == loop]
    ends = [event for event in of_loop if event.word("event_type") == "agent_run_finished"]
    assert [event.word("status") for event in ends] == ["cancelled"]
    assert all(incident.start_ms <= event.at_ms < incident.end_ms for event in of_loop)


def test_a_stopped_producer_sends_nothing_and_comes_back() -> None:
    incident, events = played(f"stopped_producer:lumen-retail@{START}/90m")
    moments = [event.at_ms for event in events if event.word("workspace_id") == "lumen-retail"]
    assert not [at_ms for at_ms in moments if incident.start_ms <= at_ms < incident.end_ms]
    assert min(moments) < incident.start_ms < incident.end_ms < max(moments)
    assert len(events) == BASE.events


def test_incidents_placed_by_the_seed_do_not_overlap_and_leave_quiet_ends() -> None:
    starts = set()
    for seed in range(30):
        config = SimulationConfig(end_ms=END_MS, seed=seed)
        incidents = Simulation(config).incidents
        assert len(incidents) == 4
        for before, after in pairwise(incidents):
            assert before.end_ms <= after.start_ms
        tenth_ms = config.window_ms // 10
        assert config.start_ms + tenth_ms - 60_000 <= incidents[0].start_ms
        assert incidents[-1].end_ms <= config.end_ms - tenth_ms
        starts.add(incidents[0].start_ms)
    assert len(starts) > 5


def test_the_truth_tells_each_incident_and_how_much_it_hit() -> None:
    simulation = Simulation(replace(BASE, incidents=SimulationConfig(end_ms=END_MS).incidents))
    for _ in simulation.chunks():
        pass
    told = simulation.truth.as_object()["incidents"]
    assert isinstance(told, list)
    hits = {one["kind"]: one for one in told}
    assert hits["provider_outage"]["failed"] > 0.85 * hits["provider_outage"]["events"] > 5
    assert hits["runaway_agent"]["events"] > 1000
    assert hits["stopped_producer"]["events"] == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("provider_holiday", "provider_outage, slow_tool"),
        ("slow_tool@noon/30m", "2026-11-23T10:00Z"),
        ("slow_tool@2026-11-18T07:00Z/30x", "KIND"),
        ("slow_tool@2020-01-01T00:00Z", "inside 2026-11-18T00:00:00Z"),
        ("slow_tool:abacus", "search_docs"),
        ("stopped_producer:nobody", "harbor-logistics"),
    ],
)
def test_a_wrong_incident_is_refused_in_a_sentence_that_says_what_is_right(text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Simulation(replace(BASE, incidents=(parse_incident(text),)))
