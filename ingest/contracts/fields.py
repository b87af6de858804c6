"""The one table of the canonical event: every column of raw.agent_events with its types, unit, limits and meaning.

In: nothing. Out: FIELDS (what a producer may send, in column order) and ORIGIN_FIELDS (what the loader adds). The
struct, the careful path, the JSON Schema, the docs page and the tests on the DDL are derived from it or checked
against it.
"""

from dataclasses import dataclass
from typing import Final, Literal

Group = Literal["envelope", "who and where", "model call", "tool call", "outcome", "money", "rest", "origin"]
Kind = Literal[
    "uuid", "choice", "version", "time", "workspace", "text", "tokens", "milliseconds", "money", "object", "origin"
]

KNOWN_SCHEMA_VERSION: Final = 1
EVENT_TYPES: Final = (
    "agent_run_started",
    "agent_run_finished",
    "agent_step",
    "llm_call",
    "tool_call",
    "error",
    "business_event",
)
STATUSES: Final = ("ok", "error", "timeout", "cancelled")

MAX_NAME_CHARS: Final = 256
MAX_ROUTE_CHARS: Final = 512
MAX_ID_CHARS: Final = 128
MAX_TOKENS: Final = 10**12
MAX_MS: Final = 7 * 86_400_000
MAX_UNIT_COST_USD: Final = 1_000
MAX_COST_USD: Final = 100_000
MAX_DECIMAL_CHARS: Final = 64
MONEY_PLACES: Final = 12

UUID_PATTERN: Final = r"^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$"
NIL_UUID: Final = "00000000-0000-0000-0000-000000000000"
WORKSPACE_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"
TIME_PATTERN: Final = (
    r"^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])$"
)
DECIMAL_PATTERN: Final = r"^[0-9]{1,20}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?$"

PARTS: Final[tuple[tuple[tuple[str, ...], str], ...]] = (
    (("cache_read_tokens", "cache_write_tokens"), "input_tokens"),
    (("reasoning_tokens",), "output_tokens"),
)
"""(parts, whole): the sum of the parts that are there may not exceed the whole, where the whole is there."""

RAW_IDENTIFIER_FIELDS: Final = ("session_id", "actor_id")
"""Fields that hold a hashed or opaque id: an `@` in them means that a raw identifier came, and the value is dropped."""


@dataclass(frozen=True)
class Field:
    """One column. `maximum` is in the field's unit and inclusive; `max_chars` counts code points, inclusive."""

    name: str
    kind: Kind
    clickhouse_type: str
    json_types: tuple[str, ...]
    group: Group
    unit: str
    description: str
    is_required: bool = False
    max_chars: int | None = None
    maximum: int | None = None
    choices: tuple[str, ...] = ()
    pattern: str | None = None


_NAME_TYPE = "LowCardinality(String)"


def _text(name: str, clickhouse_type: str, max_chars: int, group: Group, description: str) -> Field:
    return Field(name, "text", clickhouse_type, ("string",), group, "", description, max_chars=max_chars)


def _tokens(name: str, description: str) -> Field:
    return Field(
        name, "tokens", "Nullable(UInt64)", ("integer",), "model call", "tokens", description, maximum=MAX_TOKENS
    )


def _milliseconds(name: str, group: Group, description: str) -> Field:
    return Field(name, "milliseconds", "Nullable(Float64)", ("number",), group, "ms", description, maximum=MAX_MS)


def _money(name: str, unit: str, maximum: int, description: str) -> Field:
    return Field(
        name, "money", "Nullable(Decimal(18, 12))", ("number", "string"), "money", unit, description,
        max_chars=MAX_DECIMAL_CHARS, maximum=maximum, pattern=DECIMAL_PATTERN,
    )  # fmt: skip


def _origin(name: str, clickhouse_type: str, unit: str, description: str) -> Field:
    return Field(name, "origin", clickhouse_type, (), "origin", unit, description)


FIELDS: Final = (
    Field(
        "event_id", "uuid", "UUID", ("string",), "envelope", "",
        "The event's identity, made by the producer: copies with one event_id in one workspace are one event",
        is_required=True, pattern=UUID_PATTERN, max_chars=36,
    ),
    Field(
        "event_type", "choice", _NAME_TYPE, ("string",), "envelope", "", "What happened",
        is_required=True, choices=EVENT_TYPES,
    ),
    Field(
        "schema_version", "version", "UInt16", ("integer",), "envelope", "",
        "Version of this contract that the producer wrote; missing means 1",
        maximum=KNOWN_SCHEMA_VERSION,
    ),
    Field(
        "occurred_at", "time", "DateTime64(3, 'UTC')", ("string", "integer"), "envelope", "UTC, ms",
        "When it happened: RFC 3339 with an offset (digits beyond the millisecond are cut), or epoch milliseconds",
        is_required=True, pattern=TIME_PATTERN,
    ),
    Field(
        "workspace_id", "workspace", _NAME_TYPE, ("string",), "envelope", "",
        "The tenant; the key of the Kafka message",
        is_required=True, pattern=WORKSPACE_PATTERN, max_chars=128,
    ),
    _text("environment", _NAME_TYPE, MAX_NAME_CHARS, "envelope", "Deployment environment, such as production"),
    _text("service", _NAME_TYPE, MAX_NAME_CHARS, "envelope", "Service that hosts the agent"),
    _text("source", _NAME_TYPE, MAX_NAME_CHARS, "envelope", "What emitted the event, such as an SDK and its version"),
    _text("agent", _NAME_TYPE, MAX_NAME_CHARS, "who and where", "Name of the agent"),
    _text("session_id", "String", MAX_ID_CHARS, "who and where", "Opaque id of the conversation or session"),
    _text("run_id", "String", MAX_ID_CHARS, "who and where", "Id of the run that the event belongs to"),
    _text("actor_id", "String", MAX_ID_CHARS, "who and where", "Keyed hash of who asked; never a raw identifier"),
    _text("route", _NAME_TYPE, MAX_ROUTE_CHARS, "who and where", "Route or entry point that started the work"),
    _text("trace_id", "String", MAX_ID_CHARS, "who and where", "Trace id as given"),
    _text("span_id", "String", MAX_ID_CHARS, "who and where", "Span id as given"),
    _text("parent_span_id", "String", MAX_ID_CHARS, "who and where", "Span id of the parent, as given"),
    _text("provider", _NAME_TYPE, MAX_NAME_CHARS, "model call", "Who serves the model"),
    _text("model", _NAME_TYPE, MAX_NAME_CHARS, "model call", "Model as the provider names it"),
    _tokens("input_tokens", "All input tokens, those read from and written to a cache included"),
    _tokens("output_tokens", "All output tokens, reasoning included"),
    _tokens("cache_read_tokens", "The part of input_tokens that a cache served"),
    _tokens("cache_write_tokens", "The part of input_tokens that was written to a cache"),
    _tokens("reasoning_tokens", "The part of output_tokens spent on reasoning"),
    _text("prompt_hash", "String", MAX_ID_CHARS, "model call", "Hash of the prompt, to group equal ones"),
    _milliseconds("time_to_first_token_ms", "model call", "From the request to the first token of the answer"),
    _text("tool_name", _NAME_TYPE, MAX_NAME_CHARS, "tool call", "Name of the tool that was called"),
    Field(
        "status", "choice", _NAME_TYPE, ("string",), "outcome", "", "How it ended; missing is neither good nor bad",
        choices=STATUSES,
    ),
    _text("error_type", _NAME_TYPE, MAX_NAME_CHARS, "outcome", "Class of the error, never its message"),
    _milliseconds("latency_ms", "outcome", "How long it took, from start to end"),
    _money("unit_cost_input", "USD a token", MAX_UNIT_COST_USD, "What the producer says one input token costs"),
    _money("unit_cost_output", "USD a token", MAX_UNIT_COST_USD, "What the producer says one output token costs"),
    _money("cost_usd", "USD", MAX_COST_USD, "What the producer says the whole event cost"),
    Field(
        "context", "object", "String", ("object",), "rest", "",
        "Small, shallow JSON object of the producer's own attributes, stored as compact JSON text; unknown fields of"
        " the event are kept under `_unknown`",
    ),
)  # fmt: skip

ORIGIN_FIELDS: Final = (
    _origin("_topic", _NAME_TYPE, "", "Kafka topic the message was read from"),
    _origin("_partition", "Int32", "", "Its partition"),
    _origin("_offset", "Int64", "", "Its offset in the partition"),
    _origin("_appended_at", "DateTime64(3, 'UTC')", "UTC, ms", "Kafka's timestamp of the message"),
    _origin("_loaded_at", "DateTime64(3, 'UTC')", "UTC, ms", "When the row was inserted; set by the engine"),
)

COLUMNS: Final = FIELDS + ORIGIN_FIELDS
BY_NAME: Final = {field.name: field for field in FIELDS}
FIELD_NAMES: Final = frozenset(BY_NAME)
