"""The company is believable: sizes, rhythm, heavy tails, names, money; and it is all there in few events or many."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from statistics import mean, median

import pytest

from ingest.errors import SettingsError
from ingest.simulate import SimulationConfig, simulate
from ingest.simulate.catalogue import SPELLINGS, TOOLS
from ingest.simulate.config import DAY_MS
from ingest.simulate.rows import ROW
from ingest.simulate.stream import Simulation
from tests.unit.simulate.reading import END_MS, Event, read_event

WEEK = SimulationConfig(end_ms=END_MS, events=60_000, hours=24 * 7, incidents=()).without_faults()


@pytest.fixture(scope="module")
def week() -> list[Event]:
    return [read_event(message.value) for message in simulate(WEEK)]


def of_type(events: Iterable[Event], kind: str) -> list[Event]:
    return [event for event in events if event.word("event_type") == kind]


def test_one_workspace_makes_half_of_everything_and_some_are_tiny(week: list[Event]) -> None:
    sizes = Counter(event.word("workspace_id") for event in week).most_common()
    assert len(sizes) == WEEK.workspaces
    assert 0.4 < sizes[0][1] / len(week) < 0.6
    assert sizes[-1][1] / len(week) < 0.02


def test_an_office_sleeps_at_night_and_at_the_weeks_end(week: list[Event]) -> None:
    local = [  # lumen-retail lives an hour ahead of UTC
        datetime.fromtimestamp(event.at_ms / 1000 + 3600, UTC)
        for event in week
        if event.word("workspace_id") == "lumen-retail"
    ]
    weekdays = Counter(moment.isoweekday() for moment in local)
    hours = Counter(moment.hour for moment in local)
    assert weekdays[2] > 3 * weekdays[7]
    assert sum(hours[hour] for hour in (10, 11, 14)) > 8 * sum(hours[hour] for hour in (1, 2, 3))


def test_latencies_and_tokens_have_heavy_tails_that_differ_by_model(week: list[Event]) -> None:
    latencies: dict[str, list[float]] = defaultdict(list)
    for event in of_type(week, "llm_call"):
        if event.word("status") == "ok":
            latencies[event.word("model")].append(event.latency_ms())
    large = {model: sorted(values) for model, values in latencies.items() if len(values) > 300}
    assert len(large) >= 8
    assert all(values[len(values) * 99 // 100] > 3 * median(values) for values in large.values())
    medians = [median(values) for values in large.values()]
    assert max(medians) > 5 * min(medians)


def test_each_kind_of_event_model_and_tool_comes_up(week: list[Event]) -> None:
    shares = Counter(event.word("event_type") for event in week)
    assert set(shares) == {
        "agent_run_started", "agent_run_finished", "agent_step", "llm_call", "tool_call", "error", "business_event",
    }  # fmt: skip
    assert 0.2 < shares["llm_call"] / len(week) < 0.4
    assert {event.word("model") for event in of_type(week, "llm_call")} >= {"gpt-5", "claude-sonnet-4-5-20250929"}
    assert len({event.word("model") for event in week}) > 20
    assert {event.word("status") for event in of_type(week, "llm_call")} == {"ok", "error", "timeout", "cancelled", ""}
    assert len(SPELLINGS) == len({model for _, model, _ in SPELLINGS})
    assert {event.word("tool_name") for event in of_type(week, "tool_call")} <= {tool.name for tool in TOOLS}


def test_part_of_the_calls_says_what_it_cost_part_the_unit_price_and_most_nothing(week: list[Event]) -> None:
    calls = of_type(week, "llm_call")
    reported = sum("cost_usd" in event.text for event in calls) / len(calls)
    unit = sum("unit_cost_input" in event.text for event in calls) / len(calls)
    assert 0.03 < reported < 0.5
    assert 0.03 < unit < 0.5
    assert reported + unit < 0.6
    assert all(("unit_cost_input" in event.text) == ("unit_cost_output" in event.text) for event in calls)


def test_a_price_changes_on_its_date_and_other_prices_do_not() -> None:
    simulation = Simulation(WEEK)
    change_ms = simulation.world.price_change_ms
    assert WEEK.start_ms < change_ms < WEEK.end_ms
    assert change_ms % DAY_MS == 0
    before, after = simulation.world.prices
    changed = [number for number in range(len(before)) if (before[number] != after[number]).any()]
    assert 0 < len(changed) < len(before)
    prices: dict[tuple[str, bool], set[Decimal]] = defaultdict(set)
    for event in of_type((read_event(message.value) for message in simulate(WEEK)), "llm_call"):
        price = event.money("unit_cost_output")
        if price is not None:
            begun_ms = event.at_ms - event.latency_ms()
            if abs(begun_ms - change_ms) > 1000:
                prices[event.word("model"), begun_ms > change_ms].add(price)
    assert all(len(seen) == 1 for seen in prices.values())
    families = simulation.world.family_of
    moved = set()
    for number, (_, model, _) in enumerate(SPELLINGS):
        if (model, False) in prices and (model, True) in prices:
            is_changed = families[number] in changed
            assert (prices[model, False] != prices[model, True]) == is_changed, model
            moved.add(is_changed)
    assert moved == {True, False}


def test_events_are_about_as_large_as_those_of_the_benchmarks(week: list[Event]) -> None:
    sizes = [len(message.value) for message in simulate(WEEK)]
    assert 540 < mean(sizes) < 680
    assert max(sizes) < 1_200
    assert mean(len(event.text) for event in week) > 17


@pytest.mark.parametrize(
    ("events", "hours", "workspaces"), [(1, 36, 8), (10, 0.01, 1), (500, 0.001, 3), (700, 2000, 200)]
)
def test_any_size_gives_exactly_the_events_asked_for_inside_the_window(
    events: int, hours: float, workspaces: int
) -> None:
    config = SimulationConfig(end_ms=END_MS, events=events, hours=hours, workspaces=workspaces).without_faults()
    read = [read_event(message.value) for message in simulate(config)]
    assert len({event.event_id for event in read}) == len(read) == events
    assert all(config.start_ms <= event.at_ms < config.end_ms for event in read)


def test_a_late_event_does_not_keep_alive_the_thousands_made_with_it() -> None:
    simulation = Simulation(SimulationConfig(end_ms=END_MS, events=150_000, late_rate=0.02))
    held = 0
    for _ in simulation.chunks():
        parts = [part for waiting in simulation._waiting.values() for part in waiting]
        assert all(part.base is None for part in parts)
        held = max(held, sum(part.nbytes for part in parts))
    assert held < 20_000 * ROW.itemsize


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"events": 0}, "--events"),
        ({"hours": 0.0}, "--hours"),
        ({"workspaces": 0}, "--workspaces"),
        ({"late_rate": 0.9}, "--late-rate"),
    ],
)
def test_a_wrong_number_is_refused_with_the_options_name(wrong: dict[str, float], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        SimulationConfig(end_ms=END_MS, **wrong)  # type: ignore[arg-type]
