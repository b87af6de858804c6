"""The published JSON Schema refuses nothing that is accepted, and accepts nothing it can see to be wrong."""

import json
from collections.abc import Iterable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ingest.contracts.check import Accepted
from ingest.contracts.fields import FIELDS
from ingest.contracts.json_schema import event_schema
from tests.unit.contracts.events import EVENT_ID, NOW_MS, event, judged, without

SCHEMA = Draft202012Validator(event_schema())

# What JSON Schema cannot say, as its $comment lists it: these alone may pass the schema and be refused.
BEYOND = {"outside_time_window", "part_exceeds_whole", "too_large"}

ACCEPTED: list[dict[str, object]] = [
    event(),
    event(**{field.name: None for field in FIELDS if not field.is_required}),
    event(event_id=EVENT_ID.upper(), occurred_at="2026-11-23T09:30:00.123456+00:00", status=""),
    event(cost_usd="2.5E-7", unit_cost_input=0, unit_cost_output=1.5e-6, latency_ms=0, input_tokens=10**12),
    event(
        agent="é" * 256, route="r" * 512, context={"a": {"b": {"c": [1, None, True]}}, "d": [[[1]]]}, x_new={"any": []}
    ),
]
REFUSED: list[object] = [
    [], "x", None, 5, *(without(name) for name in ("event_id", "event_type", "occurred_at", "workspace_id")),
    event(event_id="00000000-0000-0000-0000-000000000000"), event(event_id="x"), event(event_type="run_started"),
    event(event_type=None), event(schema_version=2), event(schema_version=0), event(schema_version=1.5),
    event(occurred_at="2026-11-23T09:30:00"), event(occurred_at=None), event(occurred_at=NOW_MS + 0.5),
    event(workspace_id="-a"), event(workspace_id="a b"), event(workspace_id=7), event(agent=7), event(agent="x" * 257),
    event(session_id="x" * 129), event(input_tokens=-1), event(input_tokens=1.5), event(input_tokens="1"),
    event(input_tokens=True), event(input_tokens=10**12 + 1), event(latency_ms=-1), event(latency_ms=604_800_001),
    event(status="OK"), event(cost_usd="-1"), event(cost_usd=100_001), event(cost_usd=True), event(context=[]),
    event(context="x"), event(context={"a": {"b": {"c": {"d": {}}}}}), event(context={"a": [[[[]]]]}),
]  # fmt: skip


@pytest.mark.parametrize("value", ACCEPTED)
def test_what_is_accepted_passes_the_schema(value: dict[str, object]) -> None:
    assert isinstance(judged(value), Accepted)
    assert list(SCHEMA.iter_errors(value)) == []


@pytest.mark.parametrize("value", REFUSED)
def test_what_the_schema_can_see_is_refused_by_both(value: object) -> None:
    assert not isinstance(judged(json.dumps(value).encode()), Accepted)
    assert list(SCHEMA.iter_errors(value))


def _odd_values() -> st.SearchStrategy[object]:
    texts = st.sampled_from(["", "ok", "x", "1e-3", "-1", "2026-11-23T09:30:00Z", EVENT_ID, "a.b:c", "x" * 257])
    numbers = st.sampled_from([-1, 0, 1, 2, 10**6, 10**13, 0.5, -0.5, 1e300])
    return st.none() | st.booleans() | texts | numbers | st.lists(numbers, max_size=1) | st.dictionaries(texts, numbers)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from([field.name for field in FIELDS]), _odd_values(), max_size=3))
def test_judge_and_schema_agree_on_any_event_but_for_what_the_schema_cannot_say(changes: dict[str, object]) -> None:
    value = event(**changes)
    verdict, errors = judged(value), list(SCHEMA.iter_errors(value))
    if isinstance(verdict, Accepted):
        assert errors == []
    elif not errors:
        assert verdict.error_class in BEYOND or _is_money_as_text(value, verdict.field), verdict


def _is_money_as_text(value: dict[str, object], field: str) -> bool:
    return field in _money_fields() and isinstance(value[field], str)


def _money_fields() -> Iterable[str]:
    return (field.name for field in FIELDS if field.kind == "money")
