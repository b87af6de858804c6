"""The canonical event as a struct that msgspec's decoder fills and checks at full speed.

In: one message's bytes. Out: AgentEvent, or msgspec's exception, which means only "the careful path decides" (judge in
check.py): what this struct refuses may still be accepted there (an unknown field, say), never the other way round once
the column rules listed in check.py are applied too. Missing and null are both None; '' in a string is missing as well.

Choices and what they cost, best of 4 decodings of 50,000 events of 665 bytes; a ratio is against the same struct with
only that choice undone. Other work ran on the machine, so 0.03 is about the noise:

* Messages decoded one by one, `[decode(m) for m in messages]`, 1.03 of decode_lines on the joined batch. Joining saves
  3 % and opens a hole: one message may hold two objects, two may complete each other, and index and message no longer
  agree. One by one it is, and an exception belongs to exactly one message.
* Context as Raw 1.00, as dict 1.12, and a dict would have to be encoded again. Raw is checked as JSON (structure,
  escapes, surrogates, depth by RecursionError) but NOT as UTF-8, nor are its numbers' ranges: decoding each context to
  str, which the column builder needs anyway, is the UTF-8 check; numbers are kept as the text they are.
* Literal for event_type and status 1.00, plain str 1.03. Lengths by Meta cost 0.03, ranges nothing.
* uuid.UUID for event_id 1.18 and a pattern on workspace_id 1.25: both are column rules instead.
* Money as str | int | float: a number is the IEEE double that JSON readers agree on, a string is exact.
* None against '' as the default of strings: no difference; None is one meaning for missing and null.

Duplicate keys: the last one wins in both paths; here an earlier one of a wrong type is refused, so judge() decides.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from ingest.contracts import fields as f

EventType = Literal[
    "agent_run_started", "agent_run_finished", "agent_step", "llm_call", "tool_call", "error", "business_event"
]
Status = Literal["", "ok", "error", "timeout", "cancelled"]
Name = Annotated[str, Meta(max_length=f.MAX_NAME_CHARS)]
Route = Annotated[str, Meta(max_length=f.MAX_ROUTE_CHARS)]
Identifier = Annotated[str, Meta(max_length=f.MAX_ID_CHARS)]
Tokens = Annotated[int, Meta(ge=0, le=f.MAX_TOKENS)]
Milliseconds = Annotated[float, Meta(ge=0, le=f.MAX_MS)]
Money = str | int | float

MISSING: Final = msgspec.Raw(b"")
"""The context of an event that has none; `null` comes as Raw(b"null") and means the same."""


class AgentEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True):
    """One event as a producer sends it; fields.py says what each field means. Order = columns of raw.agent_events.

    From judge() it comes normalised: event_id in lower case, occurred_at as epoch ms, money as a decimal string of
    12 places, schema_version set, '' as None, context as Raw of the compact JSON text to store (MISSING: none).
    """

    event_id: Annotated[str, Meta(min_length=36, max_length=36)]
    event_type: EventType
    schema_version: Annotated[int, Meta(ge=1, le=f.KNOWN_SCHEMA_VERSION)] | None = f.KNOWN_SCHEMA_VERSION
    occurred_at: str | int
    workspace_id: Annotated[str, Meta(min_length=1, max_length=128)]
    environment: Name | None = None
    service: Name | None = None
    source: Name | None = None
    agent: Name | None = None
    session_id: Identifier | None = None
    run_id: Identifier | None = None
    actor_id: Identifier | None = None
    route: Route | None = None
    trace_id: Identifier | None = None
    span_id: Identifier | None = None
    parent_span_id: Identifier | None = None
    provider: Name | None = None
    model: Name | None = None
    input_tokens: Tokens | None = None
    output_tokens: Tokens | None = None
    cache_read_tokens: Tokens | None = None
    cache_write_tokens: Tokens | None = None
    reasoning_tokens: Tokens | None = None
    prompt_hash: Identifier | None = None
    time_to_first_token_ms: Milliseconds | None = None
    tool_name: Name | None = None
    status: Status | None = None
    error_type: Name | None = None
    latency_ms: Milliseconds | None = None
    unit_cost_input: Money | None = None
    unit_cost_output: Money | None = None
    cost_usd: Money | None = None
    context: msgspec.Raw = MISSING


DECODER: Final = msgspec.json.Decoder(AgentEvent)
"""Shared by threads; `[DECODER.decode(message) for message in messages]` under one `except` is the fast path."""
