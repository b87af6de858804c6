"""What /openapi.json says beyond the routes themselves: bodies, headers, answers, examples.

Bodies are decoded by hand for speed, so FastAPI cannot know them; the event's schema is the contract's own.
"""

from typing import Any, Final

from ingest.api.entrance import KEY_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER
from ingest.contracts.json_schema import event_schema

TITLE: Final = "Meterhouse front door"
VERSION: Final = "1"
DESCRIPTION: Final = (
    "Events and OTLP from agents. Sign the body (`X-Meterhouse-Key`, `X-Meterhouse-Timestamp`, `X-Meterhouse-Signature`"
    " = hex HMAC-SHA256 of timestamp + `.` + body) or send a bearer token. The credential decides the workspace. An"
    " answer of 200 means that Kafka has it; after 429 and 503 send again when `Retry-After` says."
)
TAGS: Final = [
    {"name": "events", "description": "Canonical events: docs/event-contract.md"},
    {"name": "otlp", "description": "OpenTelemetry's protocol over HTTP; the same over gRPC on its own port"},
    {"name": "server", "description": "How the server is"},
]

_EXAMPLE_EVENT: Final = {
    "event_id": "0b8e5c64-5f3a-4c58-9d0c-6b1f6f6f2f10",
    "event_type": "llm_call",
    "occurred_at": "2026-11-23T09:30:00.250Z",
    "agent": "support-triage",
    "run_id": "run-81",
    "provider": "openai",
    "model": "gpt-4o-mini",
    "input_tokens": 1200,
    "output_tokens": 310,
    "cache_read_tokens": 800,
    "status": "ok",
    "latency_ms": 1840.5,
}
_EXAMPLE_OUTCOME: Final = {
    "accepted": 1,
    "refused": 1,
    "errors": [
        {
            "index": 1,
            "error_class": "part_exceeds_whole",
            "field": "reasoning_tokens",
            "reason": "reasoning_tokens: expected at most output_tokens = 10, came 11.",
        }
    ],
}


def _event() -> dict[str, Any]:
    schema: dict[str, Any] = {key: value for key, value in event_schema().items() if not key.startswith("$")}
    # The credential fills it in.
    schema["required"] = [name for name in schema["required"] if name != "workspace_id"]
    return schema


def _header(name: str, description: str, example: str, pattern: str) -> dict[str, Any]:
    schema = {"type": "string", "pattern": pattern}
    return {
        "name": name, "in": "header", "required": False, "description": description, "schema": schema,
        "example": example,
    }  # fmt: skip


SIGNING_HEADERS: Final = [
    _header(KEY_HEADER, "The key's id", "k-3f9a", "^[A-Za-z0-9_-]{1,64}$"),
    _header(TIMESTAMP_HEADER, "Epoch seconds, a fraction allowed", "1795426200.25", r"^[0-9]{1,12}(\.[0-9]{1,9})?$"),
    _header(SIGNATURE_HEADER, "HMAC-SHA256 over timestamp + '.' + body, hexadecimal", "9f" * 32, "^[0-9a-f]{64}$"),
    _header("authorization", "Instead of the three: Bearer and a JWT", "Bearer eyJhbGciOi…", "^Bearer .+$"),
    _header("content-encoding", "Compression of the body", "gzip", "^(identity|gzip|deflate|zstd)$"),
]

EVENTS: Final[dict[str, Any]] = {
    "parameters": SIGNING_HEADERS,
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "oneOf": [
                        {"type": "array", "items": _event(), "minItems": 1, "maxItems": 1000},
                        {
                            "type": "object",
                            "properties": {
                                "events": {"type": "array", "items": _event(), "minItems": 1, "maxItems": 1000}
                            },
                            "required": ["events"],
                        },
                    ]
                },
                "examples": {"a model call": {"value": {"events": [_EXAMPLE_EVENT]}}},
            },
            "application/x-ndjson": {
                "schema": {"type": "string", "description": "One event a line"},
                "examples": {"a run begins": {"value": '{"event_id":"0b8e5c64-…","event_type":"agent_run_started",…}'}},
            },
        },
    },
}
RESERVED: Final[dict[str, Any]] = {"requestBody": {"required": False, "content": {"application/json": {"schema": {}}}}}

_OUTCOME: Final = {
    "type": "object",
    "required": ["accepted", "refused", "errors"],
    "properties": {
        "accepted": {"type": "integer", "minimum": 0},
        "refused": {"type": "integer", "minimum": 0},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["index", "error_class", "field", "reason"],
                "properties": {
                    "index": {"type": "integer", "description": "Position in the batch, from 0"},
                    "error_class": {"type": "string"},
                    "field": {"type": "string"},
                    "reason": {"type": "string"},
                },
            },
        },
    },
}
_ERROR: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
        }
    },
}
_RETRY: Final = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}}

Responses = dict[int | str, dict[str, Any]]


def _json(description: str, schema: dict[str, Any], **more: object) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema, **more}}}


ERRORS: Final[Responses] = {
    401: _json("No good signature or token", _ERROR),
    403: _json("The credential does not reach so far", {"anyOf": [_ERROR, _OUTCOME]}),
    408: _json("The body came too slowly", _ERROR),
    409: _json("This signature was used before", _ERROR),
    413: _json("The body is too large, or holds too many events", _ERROR),
    415: _json("Content-Type or Content-Encoding is not known", _ERROR),
    429: {**_json("Too fast", _ERROR), "headers": _RETRY},
    503: {**_json("Overloaded, or Kafka does not acknowledge; send again", _ERROR), "headers": _RETRY},
}
EVENTS_RESPONSES: Final[Responses] = {
    200: _json("Kafka has every accepted event", _OUTCOME, example=_EXAMPLE_OUTCOME),
    400: _json("No event was taken, and sending the same again cannot help", {"anyOf": [_ERROR, _OUTCOME]}),
    **ERRORS,
}
RESERVED_RESPONSES: Final[Responses] = {
    200: {"description": "Never, so far"},
    501: _json("Reserved", _ERROR),
}

_PROTOBUF: Final = "application/x-protobuf"
_STATUS: Final = {
    "type": "object",
    "description": "google.rpc.Status",
    "required": ["code", "message"],
    "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
}
_PARTIAL: Final = {
    "type": "object",
    "properties": {
        "partialSuccess": {
            "type": "object",
            "properties": {
                "rejectedSpans": {"type": "string"},
                "rejectedLogRecords": {"type": "string"},
                "rejectedDataPoints": {"type": "string"},
                "errorMessage": {"type": "string"},
            },
        }
    },
}
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_SPAN: Final = {
    "traceId": "5b8efff798038103d269b633813fc60c",
    "spanId": "eee19b7ec3c1b174",
    "name": "chat gpt-4o-mini",
    "kind": 3,
    "startTimeUnixNano": "1795426200000000000",
    "endTimeUnixNano": "1795426201840000000",
    "attributes": [
        {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
        {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "1200"}},
    ],
}
OTLP: Final[dict[str, Any]] = {
    "parameters": SIGNING_HEADERS,
    "requestBody": {
        "required": True,
        "content": {
            _PROTOBUF: _BINARY,
            "application/json": {
                "schema": {"type": "object"},
                "examples": {"one span": {"value": {"resourceSpans": [{"scopeSpans": [{"spans": [_SPAN]}]}]}}},
            },
        },
    },
}


def _otlp(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}, _PROTOBUF: _BINARY}}


OTLP_RESPONSES: Final[Responses] = {
    200: _otlp("Kafka has it; a part that was refused is counted", _PARTIAL),
    400: _otlp("Nothing was taken, and sending the same again cannot help", _STATUS),
    **{status: {**response, **_otlp(response["description"], _STATUS)} for status, response in ERRORS.items()},
}

_HEALTH: Final = {
    "type": "object",
    "required": ["status", "reasons"],
    "properties": {"status": {"type": "string"}, "reasons": {"type": "array", "items": {"type": "string"}}},
}
HEALTH_RESPONSES: Final[Responses] = {200: _json("Alive", _HEALTH)}
READY_RESPONSES: Final[Responses] = {200: _json("Ready", _HEALTH), 503: _json("Not ready, and why", _HEALTH)}
METRICS_RESPONSES: Final[Responses] = {
    200: {"description": "Prometheus text", "content": {"text/plain": {"schema": {"type": "string"}}}}
}
