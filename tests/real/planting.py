"""An address in every text field of every message there is, and words under every denied name, by every way in.

In: the door, a token. Requests go by HTTP (JSON, lines, protobuf) and gRPC, whole, broken and too large; and into Kafka
beside the door, as an older producer would. Where they may be found: nowhere.
"""

import base64
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any, Final

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from ingest.api.door_event import DoorEvent
from ingest.contracts.otlp_pieces import REQUEST_TYPES
from ingest.signals import SIGNALS
from tests.support.door import RunningDoor
from tests.support.topics import Sent, produce

WORKSPACE: Final = "planted"
ADDRESS: Final = "zq7.planted@example.org"
WORDS: Final = "zq7-planted-words"
DENIED: Final = (
    "prompt", "completion", "messages", "user_id", "email", "api_key", "authorization", "input", "output", "content",
)  # fmt: skip
OTLP_DENIED: Final = (
    "gen_ai.prompt.0.content", "gen_ai.input.messages", "gen_ai.output.messages", "input.value", "output.value",
    "llm.input_messages.0.message.content", "user.id", "enduser.id", "user.email", "ai.prompt",
    "traceloop.entity.input", "http.request.header.authorization", "exception.message", "exception.stacktrace",
    "client.address", "all_messages",
)  # fmt: skip
_IDS: Final = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}
_DEEPEST: Final = 9


def filled(message: Message, depth: int = 0) -> Message:
    """Every field set, of a oneof each member in an element of its own where it is repeated."""
    for field in message.DESCRIPTOR.fields:
        first = field.containing_oneof is None or field.containing_oneof.fields[0] is field
        if first and depth < _DEEPEST:
            _fill(message, field, depth)
    if message.DESCRIPTOR.name in ("Resource", "Span", "LogRecord", "NumberDataPoint", "InstrumentationScope"):
        for name in OTLP_DENIED:
            message.attributes.add(key=name).value.string_value = WORDS  # type: ignore[attr-defined]  # those have them
    return message


def _fill(message: Message, field: Any, depth: int) -> None:
    held: Any = getattr(message, field.name)
    if field.message_type is not None and field.is_repeated:
        oneofs = field.message_type.oneofs
        for member in oneofs[0].fields if oneofs else [None]:
            one = filled(held.add(), depth + 1)
            if member is not None:
                _fill(one, member, depth + 1)
    elif field.message_type is not None:
        filled(held, depth + 1)
        held.SetInParent()
    elif field.type in (field.TYPE_STRING, field.TYPE_BYTES):
        value: str | bytes = f"of {ADDRESS}"
        if field.type == field.TYPE_BYTES:
            value = b"\7" * _IDS[field.name] if field.name in _IDS else ADDRESS.encode()
        held.append(value) if field.is_repeated else setattr(message, field.name, value)


def _event(**more: object) -> dict[str, object]:
    at = time.time_ns() // 1_000_000
    return {"event_id": str(uuid.uuid4()), "event_type": "llm_call", "occurred_at": at, **more}


def events() -> list[dict[str, object]]:
    """An address as each field there is, an older one's name included; words under denied names, in context too."""
    fields = [*DoorEvent.__struct_fields__, "app", "type", "ts", "env", "tenant_id", "a_field_of_tomorrow"]
    nested = {**dict.fromkeys(DENIED, WORDS), "note": ADDRESS, "list": [{"email": WORDS}], ADDRESS: 1}
    hidden = {"text": json.dumps({"prompt": WORDS, "note": f"of {ADDRESS}"})}
    return [
        *(_event(**{name: f"of {ADDRESS}"}) for name in fields),
        *(_event(**{name: WORDS}) for name in DENIED),
        _event(context=nested), _event(context=hidden), _event(**{ADDRESS: 1}),
        _event(agent=f"{ADDRESS} " * 4_000, prompt=WORDS),
    ]  # fmt: skip


def _ids_as_hexadecimal(value: object) -> object:
    """OTLP's JSON differs from protobuf's in this."""
    if isinstance(value, list):
        return [_ids_as_hexadecimal(one) for one in value]
    if not isinstance(value, dict):
        return value
    ids = {"traceId", "spanId", "parentSpanId"}
    return {
        name: base64.b64decode(one).hex() if name in ids else _ids_as_hexadecimal(one) for name, one in value.items()
    }


def _requests() -> Iterator[tuple[str, str, bytes]]:
    """Path, content type, body."""
    batch = events()
    yield "/v1/events", "application/json", json.dumps(batch).encode()
    yield "/v1/events", "application/x-ndjson", b"\n".join(json.dumps(one).encode() for one in batch)
    yield "/v1/events", "application/json", json.dumps(batch).encode()[:-20]
    yield "/v1/events", "application/x-ndjson", f'{{"prompt": "{WORDS} {ADDRESS}\n{{}}\n"{ADDRESS}"'.encode()
    for signal in SIGNALS:
        request = filled(REQUEST_TYPES[signal]())
        wire = request.SerializeToString()
        yield f"/v1/{signal}", "application/x-protobuf", wire
        yield f"/v1/{signal}", "application/json", json.dumps(_ids_as_hexadecimal(MessageToDict(request))).encode()
        yield f"/v1/{signal}", "application/x-protobuf", wire[:-3]
        yield f"/v1/{signal}", "application/json", f'{{"x": "{WORDS} {ADDRESS}'.encode()


def plant(door: RunningDoor, token: str) -> list[int]:
    """Sends all of it to the door; the statuses of its answers, in order, 0 for what gRPC took."""
    authorization = {"Authorization": f"Bearer {token}"}
    strange = {"X-Planted": WORDS, "User-Agent": ADDRESS, "Baggage": f"user={ADDRESS}", "Tracestate": f"a={WORDS}"}
    statuses = []
    for path, media_type, body in _requests():
        headers = {**authorization, **strange, "Content-Type": media_type}
        statuses.append(door.request("POST", f"{path}?who={ADDRESS}", body, headers).status)
    with grpc.insecure_channel(f"127.0.0.1:{door.grpc_port}") as channel:
        for signal, name in zip(SIGNALS, ("trace.v1.Trace", "logs.v1.Logs", "metrics.v1.Metrics"), strict=True):
            export: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
                f"/opentelemetry.proto.collector.{name}Service/Export"
            )
            metadata = (("authorization", f"Bearer {token}"), ("x-planted", WORDS))
            export(filled(REQUEST_TYPES[signal]()).SerializeToString(), metadata=metadata, timeout=30)
            statuses.append(0)
    return statuses


def plant_beside(bootstrap: str, prefix: str) -> None:
    """The same and worse, into Kafka itself: what nobody has judged yet."""
    workspace = {"workspace_id": WORKSPACE}
    plain = [json.dumps({**one, **workspace}).encode() for one in events()]
    # Bare text names nothing, so of it only addresses can be known for what they are.
    broken = [plain[0][:-9], f"of {ADDRESS}".encode(), f'["{ADDRESS}"]'.encode(), b"\xff" + ADDRESS.encode()]
    produce(bootstrap, f"{prefix}agent_events", [Sent(one, key=WORKSPACE.encode()) for one in (*plain, *broken)])
    headers = (("meterhouse-workspace", WORKSPACE.encode()),)
    for signal in SIGNALS:
        wire = filled(REQUEST_TYPES[signal]()).SerializeToString()
        values = (wire, wire[:-3], f"{WORDS} {ADDRESS}".encode())
        produce(bootstrap, f"{prefix}otlp_{signal}", [Sent(one, headers=headers) for one in values])
