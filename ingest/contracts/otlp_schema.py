"""What stands where in OTLP's messages, by tag on the wire, made from OpenTelemetry's own descriptors.

In: nothing. Out: REQUESTS, for each signal the Kind of its request; a Kind says for each tag it knows what is to be
done with the field. Tags that are not there are unknown fields.
"""

import struct
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.signals import Signal

Action = int
SKIP, ATTRIBUTE, MESSAGE, TEXT, BODY, CLEARED, TRACE_ID, SPAN_ID, OWN_ID, FIXED, VARINTS = range(11)
"""Leave it; a KeyValue; a message to walk into; a string; a log's body; free text that goes; ids of 16 and 8 bytes
that go where they have another length; an id without which its message is refused; packed numbers."""

_WIRE_TYPES: Final = {
    FieldDescriptor.TYPE_DOUBLE: 1,
    FieldDescriptor.TYPE_FIXED64: 1,
    FieldDescriptor.TYPE_SFIXED64: 1,
    FieldDescriptor.TYPE_FLOAT: 5,
    FieldDescriptor.TYPE_FIXED32: 5,
    FieldDescriptor.TYPE_SFIXED32: 5,
    FieldDescriptor.TYPE_STRING: 2,
    FieldDescriptor.TYPE_BYTES: 2,
    FieldDescriptor.TYPE_MESSAGE: 2,
}
_POINTS: Final = frozenset(
    ("NumberDataPoint", "HistogramDataPoint", "ExponentialHistogramDataPoint", "SummaryDataPoint")
)
_ITEMS: Final = _POINTS | {"Span", "LogRecord"}
_GROUPS: Final = frozenset(("ResourceSpans", "ResourceLogs", "ResourceMetrics"))
_ID_BYTES: Final = {"trace_id": (TRACE_ID, 16), "span_id": (SPAN_ID, 8), "parent_span_id": (SPAN_ID, 8)}


@dataclass(slots=True)
class Kind:
    """One type of message."""

    name: str
    fields: "dict[int, tuple[Action, Kind | None]]" = field(default_factory=dict)
    attribute_tag: bytes = b""
    takes_prompt: bool = False
    """Prompts of all attributes within become one attribute of this message."""
    is_group: bool = False
    is_item: bool = False
    own_ids: int = 0


def _kind(descriptor: Descriptor, known: dict[str, Kind]) -> Kind:
    found = known.get(descriptor.full_name)
    if found is not None:
        return found
    kind = known[descriptor.full_name] = Kind(
        descriptor.full_name,
        takes_prompt=descriptor.name in ("Span", "LogRecord"),
        is_group=descriptor.name in _GROUPS,
        is_item=descriptor.name in _ITEMS,
    )
    for one in descriptor.fields:
        action, inner = _action(descriptor, one, known)
        wire_type = _WIRE_TYPES.get(one.type, 0)
        kind.fields[one.number << 3 | wire_type] = (action, inner)
        if action == ATTRIBUTE:
            kind.attribute_tag = varint(one.number << 3 | 2)
        if action == OWN_ID:
            kind.own_ids += 1
        if one.is_repeated and wire_type != 2:
            kind.fields[one.number << 3 | 2] = (FIXED if wire_type else VARINTS, None)
    return kind


def _action(owner: Descriptor, one: FieldDescriptor, known: dict[str, Kind]) -> "tuple[Action, Kind | None]":
    if one.type == one.TYPE_MESSAGE and one.message_type is not None:
        name = one.message_type.name
        if name == "KeyValue":
            return ATTRIBUTE, None
        return (BODY, None) if name == "AnyValue" else (MESSAGE, _kind(one.message_type, known))
    if one.type == one.TYPE_BYTES:
        return (
            OWN_ID if owner.name == "Span" and one.name in ("trace_id", "span_id") else _ID_BYTES[one.name][0]
        ), None
    if one.type == one.TYPE_STRING:
        return (CLEARED if owner.name == "Status" else TEXT), None
    return SKIP, None


def varint(number: int) -> bytes:
    """A number as protobuf writes it."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


_KNOWN: Final[dict[str, Kind]] = {}
REQUESTS: Final[dict[Signal, Kind]] = {
    "traces": _kind(ExportTraceServiceRequest.DESCRIPTOR, _KNOWN),
    "logs": _kind(ExportLogsServiceRequest.DESCRIPTOR, _KNOWN),
    "metrics": _kind(ExportMetricsServiceRequest.DESCRIPTOR, _KNOWN),
}
NUMBER_BYTES: Final = struct.calcsize("<q")
"""Width of the packed numbers that OTLP has: all are of eight bytes, or varints."""
