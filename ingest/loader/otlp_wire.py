"""OTLP export requests as Arrow columns, straight from their bytes.

In: protobuf bytes of one signal's requests. Out: one Arrow batch, a row a request, with the nesting of the messages;
OtlpBytesError where a request does not decode (never a partial batch). The schema is OpenTelemetry's own, with one
change that the wire does not see: arrays and maps within an AnyValue stay bytes, since Arrow has no types that hold
themselves; they are rare, and `nested` reads them. Why this decoder: docs/otlp.md, "Decoding".
"""

from collections.abc import Sequence
from functools import cache
from typing import Final, Protocol, cast

import pyarrow as pa
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from ingest.signals import Signal

Request = ExportTraceServiceRequest | ExportLogsServiceRequest | ExportMetricsServiceRequest
REQUESTS: Final[dict[Signal, type[Request]]] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}
_ANY_VALUE: Final = "AnyValue"
_RECURSIVE: Final = ("array_value", "kvlist_value")


class OtlpBytesError(ValueError):
    """Bytes that are no export request of their signal; says why, without quoting them."""


class _Handler(Protocol):
    def list_to_record_batch(self, payloads: list[bytes]) -> pa.RecordBatch: ...


def read_requests(signal: Signal, payloads: Sequence[bytes]) -> pa.RecordBatch:
    """A row a request, in their order. Raises OtlpBytesError when one of them does not decode."""
    try:
        return _handler(signal).list_to_record_batch(list(payloads))
    except ValueError as error:
        raise OtlpBytesError(_first_words(error)) from None


def parse(signal: Signal, payload: bytes) -> Request:
    """The request as an object, for what is rare. Raises OtlpBytesError."""
    try:
        return REQUESTS[signal].FromString(payload)
    except DecodeError as error:
        raise OtlpBytesError(_first_words(error)) from None


def nested(field: str, value: bytes) -> AnyValue:
    """An array or a map that `read_requests` left as bytes of the AnyValue's `field`. Raises OtlpBytesError."""
    read = AnyValue()
    try:
        getattr(read, field).ParseFromString(value)
    except DecodeError as error:
        raise OtlpBytesError(_first_words(error)) from None
    getattr(read, field).SetInParent()
    return read


@cache
def _handler(signal: Signal) -> _Handler:
    import ptars

    pool = DescriptorPool()
    request = REQUESTS[signal].DESCRIPTOR
    _add_flat(pool, request.file, set())
    handlers = ptars.HandlerPool([pool.FindFileByName(request.file.name)])
    return cast("_Handler", handlers.get_for_message(pool.FindMessageTypeByName(request.full_name)))


def _add_flat(pool: DescriptorPool, file: FileDescriptor, done: set[str]) -> None:
    """The file and what it imports, with the recursive fields of AnyValue as bytes (both are length-delimited)."""
    if file.name in done:
        return
    done.add(file.name)
    for imported in file.dependencies:
        _add_flat(pool, imported, done)
    copy = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(copy)
    for message in copy.message_type:
        for field in message.field:
            if message.name == _ANY_VALUE and field.name in _RECURSIVE:
                field.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
                field.ClearField("type_name")
    pool.Add(copy)


def points_of(metric: Message) -> Sequence[Message]:
    """The data points of a metric, of whatever kind it is."""
    kind = metric.WhichOneof("data")
    return getattr(metric, kind).data_points if kind else ()


# The fields that lead from a request to its records; a set where several kinds do.
_WAY: Final[dict[Signal, tuple[frozenset[int], ...]]] = {
    "traces": (frozenset({1}), frozenset({2}), frozenset({2})),
    "logs": (frozenset({1}), frozenset({2}), frozenset({2})),
    "metrics": (frozenset({1}), frozenset({2}), frozenset({2}), frozenset({5, 7, 9, 10, 11}), frozenset({1})),
}


def count_within(signal: Signal, payload: bytes, most: int) -> bool:
    """Whether a request holds at most so many records, found by walking over lengths: nothing is decoded or kept. What
    is no request counts as within; `read_requests` tells."""
    way = _WAY[signal]
    open_ones = [(0, len(payload), 0)]
    count = 0
    while open_ones:
        position, end, level = open_ones.pop()
        while position < end:
            key, position = _varint(payload, position, end)
            wire = key & 7
            if wire == 2:
                length, position = _varint(payload, position, end)
                if key >> 3 in way[level] and length <= end - position:
                    if level + 1 == len(way):
                        count += 1
                        if count > most:
                            return False
                    else:
                        open_ones.append((position, position + length, level + 1))
                position += length
            elif wire == 0:
                _, position = _varint(payload, position, end)
            elif wire in (1, 5):
                position += 8 if wire == 1 else 4
            else:
                break
    return True


def _varint(payload: bytes, position: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while position < end and shift < 70:
        byte = payload[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    return 0, end


def _first_words(error: Exception) -> str:
    """The library's reason; it names places and lengths, never values."""
    return str(error).partition("\n")[0][:200]
