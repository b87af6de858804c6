"""The texts of flawed messages: curiosities, which are valid and must land, and defects, which must not.

A flaw takes the sound event as an object and gives the message's bytes. Content and identifiers in them are
placeholders and say so; nothing here was ever said by anybody.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

Event = dict[str, object]
_PLACEHOLDER = "PLACEHOLDER - must never land"
_ADDRESS = "placeholder@example.invalid"


@dataclass(frozen=True)
class Flaw:
    """One way to differ from a plain event. `expected_class` is the contract's error class, '' where the event must
    land.
    """

    name: str
    spoil: Callable[[Event], bytes]
    expected_class: str = ""
    needs_model_call: bool = False


def _with(changes: Mapping[str, object], *without: str) -> Callable[[Event], bytes]:
    """Sets fields and removes some."""

    def spoil(event: Event) -> bytes:
        kept = {name: value for name, value in event.items() if name not in without}
        return msgspec.json.encode(kept | dict(changes))

    return spoil


def _in_context(changes: Mapping[str, object]) -> Callable[[Event], bytes]:
    def spoil(event: Event) -> bytes:
        context = event.get("context")
        inner = dict(context) if isinstance(context, dict) else {}
        return msgspec.json.encode(event | {"context": inner | dict(changes)})

    return spoil


def _cut_short(event: Event) -> bytes:
    text = msgspec.json.encode(event)
    return text[: len(text) * 2 // 3]


def _not_utf8(event: Event) -> bytes:
    return msgspec.json.encode(event | {"agent": "agent-?"}).replace(b"agent-?", b"agent-\xff\xfe")


def _control_character(event: Event) -> bytes:
    return msgspec.json.encode(event | {"agent": "agent-?"}).replace(b"agent-?", b"agent-\x01")


def _not_a_number(event: Event) -> bytes:
    return msgspec.json.encode(event | {"latency_ms": None}).replace(b'"latency_ms":null', b'"latency_ms":NaN')


def _beyond_64_bits(event: Event) -> bytes:
    digits = b'"input_tokens":' + b"9" * 30
    return msgspec.json.encode(event | {"input_tokens": None}).replace(b'"input_tokens":null', digits)


def _followed_by_another(event: Event) -> bytes:
    return msgspec.json.encode(event) + b' {"and":"more"}'


def _reasoning_over_output(event: Event) -> bytes:
    return msgspec.json.encode(event | {"output_tokens": 10, "reasoning_tokens": 11})


def _cache_over_input(event: Event) -> bytes:
    return msgspec.json.encode(event | {"input_tokens": 100, "cache_read_tokens": 80, "cache_write_tokens": 21})


def _upper_case_id(event: Event) -> bytes:
    return msgspec.json.encode(event | {"event_id": str(event["event_id"]).upper()})


def _with_nulls(event: Event) -> bytes:
    missing = ("provider", "tool_name", "input_tokens", "latency_ms", "cost_usd", "error_type", "parent_span_id")
    return msgspec.json.encode(dict.fromkeys(missing) | event)


def _deep(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = {"deeper": value}
    return value


PLAIN = Flaw("plain", msgspec.json.encode)
CURIOSITIES = (
    Flaw("unknown_fields", _with({"x_experiment": "variant-b", "gpu_ms": 12.5, "x_flags": {"beam": True}})),
    Flaw("content_at_top", _with({"prompt": _PLACEHOLDER, "completion": _PLACEHOLDER})),
    Flaw("content_in_context", _in_context({"messages": [{"role": "user", "content": _PLACEHOLDER}], "retrieved": 3})),
    Flaw("identifiers", _with({"email": _ADDRESS, "phone": "+00 000 PLACEHOLDER", "ip": "192.0.2.1"})),
    Flaw(
        "content_as_otel_says", _with({"gen_ai.prompt.0.content": _PLACEHOLDER, "llm.output_messages": [_PLACEHOLDER]})
    ),
    Flaw(
        "identifiers_in_context",
        _in_context({"user": {"id": _PLACEHOLDER}, "userName": _PLACEHOLDER, "api_key": _PLACEHOLDER}),
    ),
    Flaw("address_in_text", _in_context({"label": f"forwarded by {_ADDRESS} at night"})),
    Flaw("raw_actor", _with({"actor_id": _ADDRESS})),
    Flaw("explicit_nulls", _with_nulls),
    Flaw("upper_case_id", _upper_case_id),
    Flaw("unicode_context", _in_context({"label": 'naïve 東京 🚆 \\ " /'})),
)
DEFECTS = (
    Flaw("cut_short", _cut_short, "malformed_json"),
    Flaw("not_utf8", _not_utf8, "not_utf8"),
    Flaw("followed_by_another", _followed_by_another, "malformed_json"),
    Flaw("control_character", _control_character, "malformed_json"),
    Flaw("not_a_number", _not_a_number, "malformed_json"),
    Flaw("array", lambda event: msgspec.json.encode([event]), "not_an_object"),
    Flaw("bare_text", lambda _: b'"heartbeat"', "not_an_object"),
    Flaw("empty_object", lambda _: b"{}", "missing_field"),
    Flaw("no_event_id", _with({}, "event_id"), "missing_field"),
    Flaw("no_event_type", _with({}, "event_type"), "missing_field"),
    Flaw("no_workspace", _with({}, "workspace_id"), "missing_field"),
    Flaw("no_time", _with({}, "occurred_at"), "missing_field"),
    Flaw("id_not_uuid", _with({"event_id": "order-12345"}), "bad_identifier"),
    Flaw("id_nil", _with({"event_id": "00000000-0000-0000-0000-000000000000"}), "bad_identifier"),
    Flaw("unknown_type", _with({"event_type": "agent_daydream"}), "unknown_event_type"),
    Flaw("unknown_status", _with({"status": "exploded"}), "unknown_status"),
    Flaw("bad_workspace", _with({"workspace_id": "two words!"}), "bad_identifier"),
    Flaw("time_nonsense", _with({"occurred_at": "yesterday noon"}), "bad_time"),
    Flaw("time_without_offset", _with({"occurred_at": "2026-11-23T10:00:00"}), "bad_time"),
    Flaw("time_far_past", _with({"occurred_at": "2001-09-09T01:46:40Z"}), "outside_time_window"),
    Flaw("time_far_future", _with({"occurred_at": "2199-01-01T00:00:00Z"}), "outside_time_window"),
    Flaw("tokens_text", _with({"input_tokens": "many"}), "wrong_type"),
    Flaw("tokens_fraction", _with({"output_tokens": 12.5}), "wrong_type"),
    Flaw("latency_boolean", _with({"latency_ms": True}), "wrong_type"),
    Flaw("agent_number", _with({"agent": 42}), "wrong_type"),
    Flaw("context_text", _with({"context": "free text"}), "wrong_type"),
    Flaw("tokens_negative", _with({"input_tokens": -5}), "out_of_range"),
    Flaw("tokens_absurd", _with({"output_tokens": 10**15}), "out_of_range"),
    Flaw("tokens_beyond_64_bits", _beyond_64_bits, "out_of_range"),
    Flaw("latency_negative", _with({"latency_ms": -0.5}), "out_of_range"),
    Flaw("cost_negative", _with({"cost_usd": "-0.01"}), "out_of_range"),
    Flaw("reasoning_over_output", _reasoning_over_output, "part_exceeds_whole", needs_model_call=True),
    Flaw("cache_over_input", _cache_over_input, "part_exceeds_whole", needs_model_call=True),
    Flaw("version_2", _with({"schema_version": 2}), "unknown_schema_version"),
    Flaw("model_too_long", _with({"model": "m" * 300}), "too_long", needs_model_call=True),
    Flaw("context_too_deep", _in_context({"deep": _deep(6)}), "too_deep"),
    Flaw("context_too_big", _in_context({"blob": "x" * 9_000}), "too_large"),
)
FLAWS = (PLAIN, *CURIOSITIES, *DEFECTS)
"""Every flaw by its number in a row; 0 is none."""


def spoil(line: bytes, flaw: int) -> bytes:
    """The text of a sound event with the flaw of that number."""
    return FLAWS[flaw].spoil(msgspec.json.decode(line, type=dict[str, object]))
