"""The contract as JSON Schema (draft 2020-12), for producers in any language.

In: the table of fields and limits. Out: the schema as a dict. What JSON Schema cannot say is not in it and is listed
under `$comment`: an event that the schema refuses is refused here too, one that it takes may still break such a rule.
"""

from collections.abc import Callable, Mapping

from ingest.contracts.fields import FIELDS, NIL_UUID, Field, Kind
from ingest.contracts.outcome import EventLimits

Schema = dict[str, object]

_BEYOND = (
    "Not expressible here, and checked by the loader: the time window of occurred_at and its calendar; cache tokens <= "
    "input_tokens and reasoning_tokens <= output_tokens; the range of money given as a string; 5.0 is no integer; the "
    "bytes of context and message. Unknown fields are allowed and kept in context under `_unknown`."
)
_SCALARS = ["string", "number", "boolean", "null"]


def event_schema(limits: EventLimits | None = None) -> Schema:
    """The schema of one event."""
    depth = (limits or EventLimits()).context_depth
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:meterhouse:agent_event:1",
        "title": "Agent event",
        "description": "One event of an AI agent, one message of the topic agent_events. Generated; do not edit.",
        "$comment": _BEYOND,
        "type": "object",
        "required": [field.name for field in FIELDS if field.is_required],
        "properties": {field.name: _property(field, depth) for field in FIELDS},
        "additionalProperties": True,
        "$defs": {f"nested_{level}": _nested(level) for level in range(depth)},
    }


def _property(field: Field, depth: int) -> Schema:
    kind = _KINDS[field.kind](field, depth)
    if not field.is_required:
        kind = {"anyOf": [kind, {"type": "null"}]}
    unit = f" [{field.unit}]" if field.unit else ""
    return {"description": f"{field.description}{unit}", **kind}


def _choice(field: Field, _: int) -> Schema:
    return {"enum": [*field.choices] if field.is_required else ["", *field.choices]}


def _number(field: Field, _: int) -> Schema:
    return {"type": field.json_types[0], "minimum": 0, "maximum": field.maximum}


def _money(field: Field, depth: int) -> Schema:
    return {"anyOf": [_number(field, depth), {"type": "string", "pattern": field.pattern}]}


def _patterned(field: Field, _: int) -> Schema:
    return {"type": "string", "pattern": field.pattern}


_KINDS: Mapping[Kind, Callable[[Field, int], Schema]] = {
    "uuid": lambda field, depth: {**_patterned(field, depth), "not": {"const": NIL_UUID}},
    "choice": _choice,
    "version": lambda field, _: {"type": "integer", "minimum": 1, "maximum": field.maximum},
    "time": lambda field, depth: {"anyOf": [_patterned(field, depth), {"type": "integer"}]},
    "workspace": _patterned,
    "text": lambda field, _: {"type": "string", "maxLength": field.max_chars},
    "tokens": _number,
    "milliseconds": _number,
    "money": _money,
    "object": lambda _, depth: {"type": "object", "additionalProperties": {"$ref": f"#/$defs/nested_{depth - 1}"}},
}


def _nested(level: int) -> Schema:
    if level == 0:
        return {"type": _SCALARS}
    inner = {"$ref": f"#/$defs/nested_{level - 1}"}
    return {"type": [*_SCALARS, "array", "object"], "items": inner, "additionalProperties": inner}
