"""Inside a run things happen in an order that can be true, and sums are sums of what is there."""

from collections import defaultdict
from decimal import Decimal
from itertools import pairwise

import pytest

from ingest.simulate import SimulationConfig, simulate
from tests.unit.simulate.reading import END_MS, Event, read_event

Runs = dict[str, list[Event]]


@pytest.fixture(scope="module")
def runs() -> Runs:
    """Runs of a simulation without faults, each by time."""
    config = SimulationConfig(end_ms=END_MS, events=40_000).without_faults()
    found: Runs = defaultdict(list)
    for message in simulate(config):
        event = read_event(message.value)
        found[event.word("run_id")].append(event)
    for events in found.values():
        events.sort(key=lambda event: event.at_ms)
    return found


def types(events: list[Event]) -> list[str]:
    return [event.word("event_type") for event in events]


def test_a_run_starts_first_and_its_times_strictly_increase(runs: Runs) -> None:
    for events in runs.values():
        assert types(events)[0] == "agent_run_started"
        moments = [event.at_ms for event in events]
        assert moments == sorted(set(moments))


def test_after_the_finish_comes_business_only(runs: Runs) -> None:
    finished = [events for events in runs.values() if "agent_run_finished" in types(events)]
    for events in finished:
        assert set(types(events)[types(events).index("agent_run_finished") + 1 :]) <= {"business_event"}
    assert 0.9 < len(finished) / len(runs) < 1


def test_a_call_ends_after_it_began_and_it_began_after_the_event_before_it(runs: Runs) -> None:
    for events in runs.values():
        for before, event in pairwise(events):
            if event.word("event_type") in ("llm_call", "tool_call") and event.context("step") is not None:
                assert event.at_ms - event.latency_ms() >= before.at_ms - 1, event.text


def test_a_retry_follows_a_failure_that_can_be_cured(runs: Runs) -> None:
    retries = 0
    for events in runs.values():
        for before, event in pairwise(events):
            attempt = event.context("attempt")
            if isinstance(attempt, int) and attempt > 1:
                retries += 1
                assert before.context("attempt") == attempt - 1
                assert before.word("status") in ("error", "timeout")
                assert before.word("error_type") not in ("", "content_filter", "context_length_exceeded")
    assert retries > 100


def test_an_error_has_a_type_and_nothing_else_has_one(runs: Runs) -> None:
    for events in runs.values():
        for event in events:
            assert (event.word("error_type") != "") == (event.word("status") in ("error", "timeout")), event.text


def test_a_finish_rolls_up_exactly_the_calls_of_its_run(runs: Runs) -> None:
    with_cost = 0
    for events in runs.values():
        for finish in events:
            if finish.word("event_type") != "agent_run_finished" or finish.number("input_tokens") is None:
                continue
            models = [event for event in events if event.word("event_type") == "llm_call"]
            for name in ("input_tokens", "output_tokens"):
                assert finish.number(name) == sum(event.number(name) or 0 for event in models)
            cost = finish.money("cost_usd")
            if cost is not None:
                with_cost += 1
                calls = [event for event in events if event.word("event_type") in ("llm_call", "tool_call")]
                assert cost == sum((event.money("cost_usd") or Decimal(0) for event in calls), Decimal(0))
    assert with_cost > 50


def test_parts_are_never_more_than_their_wholes(runs: Runs) -> None:
    for event in (event for events in runs.values() for event in events):
        cached = (event.number("cache_read_tokens") or 0) + (event.number("cache_write_tokens") or 0)
        assert cached <= (event.number("input_tokens") or 0)
        assert (event.number("reasoning_tokens") or 0) <= (event.number("output_tokens") or 0)
        first_token = event.text.get("time_to_first_token_ms")
        assert first_token is None or float(str(first_token)) <= event.latency_ms()


def test_spans_of_a_run_form_one_tree(runs: Runs) -> None:
    for events in runs.values():
        assert len({event.word("trace_id") for event in events}) == 1
        spans = {event.word("span_id") for event in events}
        parents = [event.word("parent_span_id") for event in events[1:]]
        assert len(spans) == len(events)
        assert set(parents) <= spans
