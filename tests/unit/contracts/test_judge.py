"""What the careful path takes, what it refuses, and what it says."""

import json

import pytest

from ingest.contracts.check import EventLimits
from ingest.contracts.outcome import ERROR_CLASSES, ERROR_MEANINGS, OTHER, NameTally
from tests.unit.contracts.events import (
    EVENT_ID,
    NOW_MS,
    accepted,
    context_of,
    event,
    fast_path,
    judged,
    payload,
    refused,
    without,
)

REFUSALS: list[tuple[str, bytes | dict[str, object], str, str]] = [
    ("an empty message", b"", "malformed_json", ""),
    ("plain text", b"hello", "malformed_json", ""),
    ("a message cut short", payload()[:-1], "malformed_json", ""),
    ("two objects", payload() + payload(), "malformed_json", ""),
    ("a byte order mark", b"\xef\xbb\xbf" + payload(), "malformed_json", ""),
    ("NaN", payload()[:-1] + b',"latency_ms":NaN}', "malformed_json", ""),
    ("a trailing NUL", payload() + b"\0", "malformed_json", ""),
    ("half a surrogate pair", payload()[:-1] + b',"agent":"\\ud800"}', "malformed_json", ""),
    ("half a surrogate pair in the context", payload()[:-1] + b',"context":{"a":"\\ud800"}}', "malformed_json", ""),
    ("a byte that is no UTF-8", payload()[:-1] + b',"agent":"\xff"}', "not_utf8", ""),
    ("a byte that is no UTF-8 in the context", payload()[:-1] + b',"context":{"a":"\xff"}}', "not_utf8", ""),
    ("an array", b"[1]", "not_an_object", ""),
    ("null", b"null", "not_an_object", ""),
    ("a string", b'"x"', "not_an_object", ""),
    ("100,000 open brackets", b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too_deep", ""),
    ("a message too large", payload(agent="x" * 300_000), "too_large", ""),
    ("version 2", event(schema_version=2, event_type="new", workspace_id=5), "unknown_schema_version",
     "schema_version"),
    ("version 10^30", payload()[:-1] + b',"schema_version":1' + b"0" * 30 + b"}", "unknown_schema_version",
     "schema_version"),
    ("version 0", event(schema_version=0), "out_of_range", "schema_version"),
    ("version as text", event(schema_version="1"), "wrong_type", "schema_version"),
    ("no event_id", without("event_id"), "missing_field", "event_id"),
    ("a null workspace", event(workspace_id=None), "missing_field", "workspace_id"),
    ("the nil UUID", event(event_id="00000000-0000-0000-0000-000000000000"), "bad_identifier", "event_id"),
    ("a UUID without dashes", event(event_id=EVENT_ID.replace("-", "")), "bad_identifier", "event_id"),
    ("a UUID and a newline", event(event_id=EVENT_ID + "\n"), "bad_identifier", "event_id"),
    ("a workspace and a newline", event(workspace_id="a\n"), "bad_identifier", "workspace_id"),
    ("an empty workspace", event(workspace_id=""), "bad_identifier", "workspace_id"),
    ("a workspace that is an address", event(workspace_id="a@b"), "bad_identifier", "workspace_id"),
    ("a workspace of 129", event(workspace_id="a" * 129), "bad_identifier", "workspace_id"),
    ("an unknown kind", event(event_type="run_started"), "unknown_event_type", "event_type"),
    ("an unknown status", event(status="OK"), "unknown_status", "status"),
    ("a boolean as tokens", event(input_tokens=True), "wrong_type", "input_tokens"),
    ("integral float as tokens", event(input_tokens=5.0), "wrong_type", "input_tokens"),
    ("negative tokens", event(output_tokens=-1), "out_of_range", "output_tokens"),
    ("absurd tokens", event(output_tokens=10**12 + 1), "out_of_range", "output_tokens"),
    ("tokens of 5,000 digits", payload()[:-1] + b',"input_tokens":' + b"9" * 5000 + b"}", "out_of_range",
     "input_tokens"),
    ("latency beyond doubles", payload()[:-1] + b',"latency_ms":1e400}', "out_of_range", "latency_ms"),
    ("negative latency", event(latency_ms=-0.5), "out_of_range", "latency_ms"),
    ("latency as text", event(latency_ms="5"), "wrong_type", "latency_ms"),
    ("negative cost", event(cost_usd=-0.01), "out_of_range", "cost_usd"),
    ("negative cost as text", event(cost_usd="-1"), "out_of_range", "cost_usd"),
    ("cost with a sign of the currency", event(cost_usd="$1"), "wrong_type", "cost_usd"),
    ("cost above the limit", event(cost_usd="100000.0000000000001"), "out_of_range", "cost_usd"),
    ("an agent of 257", event(agent="é" * 257), "too_long", "agent"),
    ("an agent that is a number", event(agent=4), "wrong_type", "agent"),
    ("time without an offset", event(occurred_at="2026-11-23T09:30:00"), "bad_time", "occurred_at"),
    ("the 30th of February", event(occurred_at="2026-02-30T09:30:00Z"), "bad_time", "occurred_at"),
    ("a leap second", event(occurred_at="2026-11-23T23:59:60Z"), "bad_time", "occurred_at"),
    ("time as a float", event(occurred_at=NOW_MS + 0.5), "wrong_type", "occurred_at"),
    ("epoch seconds", event(occurred_at=NOW_MS // 1000), "outside_time_window", "occurred_at"),
    ("a time no calendar has", event(occurred_at=10**25), "outside_time_window", "occurred_at"),
    ("cache beyond input", event(input_tokens=10, cache_read_tokens=6, cache_write_tokens=5), "part_exceeds_whole",
     "cache_read_tokens + cache_write_tokens"),
    ("reasoning beyond output", event(output_tokens=1, reasoning_tokens=2), "part_exceeds_whole", "reasoning_tokens"),
    ("a context that is text", event(context="x"), "wrong_type", "context"),
    ("a context of five levels", event(context={"a": {"b": {"c": {"d": {}}}}}), "too_deep", "context"),
    ("a context above 8 KiB", event(context={"a": "x" * 8192}), "too_large", "context"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("message", "error_class", "field"), [row[1:] for row in REFUSALS], ids=[r[0] for r in REFUSALS]
)
def test_a_bad_event_is_refused_with_its_class_and_field_by_both_paths(
    message: bytes | dict[str, object], error_class: str, field: str
) -> None:
    verdict = refused(message)
    assert (verdict.error_class, verdict.field) == (error_class, field)
    assert verdict.reason.startswith(f"{field or 'message'}: expected ")
    assert ", came " in verdict.reason
    assert len(verdict.reason) < 400
    assert fast_path(message if isinstance(message, bytes) else json.dumps(message).encode()) is None


def test_every_error_class_has_a_meaning_and_a_case_here() -> None:
    assert set(ERROR_MEANINGS) == set(ERROR_CLASSES) == {row[2] for row in REFUSALS}


def test_a_refusal_never_shows_text_of_the_event() -> None:
    for name in ("agent", "event_type", "status", "workspace_id", "event_id", "occurred_at", "cost_usd", "context"):
        assert "marzipan" not in refused(event(**{name: "marzipan, an almond sweet " * 30})).reason


@pytest.mark.parametrize(
    ("given", "ms"),
    [
        ("2026-11-23T09:30:00Z", 1_795_426_200_000),
        ("2026-11-23t09:30:00.1z", 1_795_426_200_100),
        ("2026-11-23 11:00:00.123999999+01:30", 1_795_426_200_123),
        ("2026-11-23T04:30:00.9999-05:00", 1_795_426_200_999),
        (1_795_426_200_001, 1_795_426_200_001),
    ],
)
def test_a_time_lands_as_utc_milliseconds_cut_not_rounded(given: object, ms: int) -> None:
    assert accepted(occurred_at=given).event.occurred_at == ms


def test_the_time_window_includes_both_of_its_ends() -> None:
    limits = EventLimits(max_age_ms=1000, max_future_ms=500)
    inside, outside = (NOW_MS - 1000, NOW_MS + 500), (NOW_MS - 1001, NOW_MS + 501)
    assert [type(judged(event(occurred_at=ms), limits)).__name__ for ms in inside] == ["Accepted", "Accepted"]
    assert [type(judged(event(occurred_at=ms), limits)).__name__ for ms in outside] == ["Refused", "Refused"]


@pytest.mark.parametrize(
    ("given", "landed"),
    [
        (2.5e-7, "0.000000250000"),
        ("0.00000025", "0.000000250000"),
        ("2.5E-7", "0.000000250000"),
        (0, "0.000000000000"),
        (-0.0, "0.000000000000"),
        ("0.0000000000005", "0.000000000000"),
        ("0.0000000000015", "0.000000000002"),
        ("99999.1234567890125", "99999.123456789012"),
        (0.1, "0.100000000000"),
        ("1e-999", "0.000000000000"),
        (100_000, "100000.000000000000"),
    ],
)
def test_money_lands_exactly_rounded_half_even_to_twelve_places(given: object, landed: str) -> None:
    assert accepted(cost_usd=given).event.cost_usd == landed


def test_null_and_empty_strings_are_missing_and_missing_is_none() -> None:
    bare, nulls = accepted().event, accepted(agent=None, status="", model="", context=None, input_tokens=None).event
    assert bare == nulls
    assert (bare.agent, bare.input_tokens, bare.schema_version) == (None, None, 1)


def test_the_last_of_duplicate_keys_wins_even_after_one_of_a_wrong_type() -> None:
    verdict = judged(payload()[:-1] + b',"input_tokens":"x","input_tokens":7}')
    assert getattr(verdict, "event").input_tokens == 7  # noqa: B009


def test_unknown_fields_are_kept_under_the_reserved_key_and_counted() -> None:
    verdict = accepted(gpu_ms=12.50, x_flags=["a"], context={"region": "eu"})
    assert context_of(verdict) == '{"region":"eu","_unknown":{"gpu_ms":12.5,"x_flags":["a"]}}'
    assert verdict.unknown == {"gpu_ms": 1, "x_flags": 1}


def test_unknown_fields_join_what_the_producer_put_under_the_reserved_key() -> None:
    assert context_of(accepted(b=2, context={"_unknown": {"a": 1}})) == '{"_unknown":{"a":1,"b":2}}'


def test_what_does_not_fit_of_the_unknown_fields_is_counted_as_lost() -> None:
    too_many = accepted(**{f"x_{number}": number for number in range(40)})
    assert (len(json.loads(context_of(too_many))["_unknown"]), too_many.unknown_lost) == (32, 8)
    assert sum(too_many.unknown.values()) == 40
    assert accepted(x_big="y" * 5000, x_small=1).unknown_lost == 1
    assert accepted(x_deep={"a": {"b": {"c": 1}}}).unknown_lost == 1


def test_names_that_strangers_choose_cannot_grow_the_counts() -> None:
    verdict = accepted(**{f"x_{number}": 1 for number in range(500)}, **{"x" * 200: 1, "<script>": 1})
    assert len(verdict.unknown) == 33
    assert verdict.unknown[OTHER] == 470
    tally = NameTally(max_names=3)
    for number in range(10):
        tally.add({f"n{number}": 2})
    assert tally.counts == {"n0": 2, "n1": 2, "n2": 2, OTHER: 14}


def test_content_and_identifiers_are_dropped_at_every_level_and_counted_by_rule() -> None:
    verdict = accepted(
        prompt="marzipan", userId=5, actor_id="marzipan@example", route="/mail/marzipan@example.com/x",
        x_nested={"messages": [{"content": "marzipan"}]},
        context={"a": {"llm.input_messages.0.message.content": "marzipan"}, "note": "to marzipan@example.com", "n":
        1.50},
    )  # fmt: skip
    assert "marzipan" not in repr(verdict) + context_of(verdict)
    assert context_of(verdict) == '{"a":{},"note":"to [email]","n":1.5,"_unknown":{"x_nested":{}}}'
    assert (verdict.event.actor_id, verdict.event.route) == (None, "/mail/[email]/x")
    assert verdict.dropped == {"prompt": 1, "user_id": 1, "actor_id": 1, "email": 2, "messages": 1, "content": 1}


def test_a_clean_context_lands_as_it_came_without_whitespace() -> None:
    raw = b'{ "a" : 1.50 , "b":[ 1e999 ], "c":"x  y", "d":123456789012345678901234567890 }'
    verdict = judged(payload()[:-1] + b',"context":' + raw + b"}")
    compact = b'{"a":1.50,"b":[1e999],"c":"x  y","d":123456789012345678901234567890}'
    assert bytes(getattr(verdict, "event").context) == compact  # noqa: B009


def test_what_lands_is_in_one_normal_form() -> None:
    landed = accepted(event_id=EVENT_ID.upper(), latency_ms=-0.0).event
    assert landed.event_id == EVENT_ID
    assert str(landed.latency_ms) == "0.0"


def test_a_field_whose_very_name_is_an_address_is_dropped() -> None:
    verdict = accepted(**{"marzipan@example.com": 1})
    assert (bytes(verdict.event.context), verdict.dropped, verdict.unknown) == (b"", {"email": 1}, {})
