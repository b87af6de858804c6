"""OTLP's JSON to the bytes of its protobuf.

In: the decompressed body. Out: the request's wire bytes, or a Refusal 400. What OTLP's JSON has of its own: ids are
hexadecimal, enums are numbers, 64-bit integers may be strings, names are lowerCamelCase, unknown names are ignored.
Nesting, parts and the types of all values are checked; nothing of the body is shown in a refusal.
"""

import asyncio
import base64
import binascii
import re
from collections.abc import Callable
from typing import Final

import msgspec
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.api.refusal import Refusal
from ingest.signals import Signal

_REQUESTS: Final[dict[Signal, Callable[[], Message]]] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}
_IN_A_THREAD_ABOVE_BYTES: Final = 1 << 18
_MOST_PARTS: Final = 500_000
_HEX_FIELDS: Final = frozenset(("trace_id", "span_id", "parent_span_id"))
_INTEGER = re.compile(r"-?[0-9]{1,20}").fullmatch
_INTEGERS: Final = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SINT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SFIXED32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_FIXED32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_SINT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_SFIXED64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
    FieldDescriptor.TYPE_FIXED64: (0, 2**64 - 1),
    FieldDescriptor.TYPE_ENUM: (-(2**31), 2**31 - 1),
}
_SPECIAL_NUMBERS: Final = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


class _Wrong(Exception):  # noqa: N818 - becomes a Refusal
    """Where, and what was expected."""


async def as_wire(signal: Signal, body: bytes, *, depth: int) -> bytes:
    """`to_wire`, in a thread where it takes long enough for others to notice."""
    if len(body) > _IN_A_THREAD_ABOVE_BYTES:
        return await asyncio.to_thread(to_wire, signal, body, depth=depth)
    return to_wire(signal, body, depth=depth)


def to_wire(signal: Signal, body: bytes, *, depth: int) -> bytes:
    """`depth`: the deepest nesting of a value (arrays and objects in an attribute)."""
    try:
        body.decode()
        read = msgspec.json.decode(body)
    except UnicodeDecodeError:
        raise _refusal("it is not UTF-8") from None
    except RecursionError:
        raise _refusal("it nests too deep") from None
    except msgspec.MsgspecError as error:
        raise _refusal(str(error)) from None
    request = _REQUESTS[signal]()
    try:
        # A span's attribute stands nine levels down; each level of its value is two messages.
        _Reader(depth * 2 + 9).fill(request, read, 0)
        return request.SerializeToString()
    except _Wrong as wrong:
        raise _refusal(str(wrong)) from None
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise _refusal(type(error).__name__) from None


def _refusal(why: str) -> Refusal:
    return Refusal(400, "malformed_otlp", f"The body is no OTLP in JSON: {why}.")


class _Reader:
    """Fills messages from parsed JSON."""

    def __init__(self, deepest: int) -> None:
        self._deepest = deepest
        self._parts = 0

    def fill(self, message: Message, value: object, depth: int) -> None:
        """One message from one object. Raises _Wrong."""
        name = message.DESCRIPTOR.name
        if not isinstance(value, dict):
            raise _Wrong(f"{name} is no object")
        self._parts += 1
        if depth > self._deepest:
            raise _Wrong(f"{name} nests too deep")
        if self._parts > _MOST_PARTS:
            raise _Wrong("it has too many parts")
        fields = _fields(message.DESCRIPTOR)  # type: ignore[arg-type]  # the stub's two classes are one
        for key, item in value.items():
            field = fields.get(key)
            if field is None or item is None:
                continue
            if field.is_repeated:
                self._fill_list(message, field, item, depth)
            elif field.type == field.TYPE_MESSAGE:
                inner = getattr(message, field.name)
                inner.SetInParent()
                self.fill(inner, item, depth + 1)
            else:
                setattr(message, field.name, _scalar(field, item))

    def _fill_list(self, message: Message, field: FieldDescriptor, value: object, depth: int) -> None:
        if not isinstance(value, list):
            raise _Wrong(f"{field.name} is no array")
        target = getattr(message, field.name)
        if field.type == field.TYPE_MESSAGE:
            for item in value:
                self.fill(target.add(), item, depth + 1)
        else:
            target.extend([_scalar(field, item) for item in value])


_BY_JSON_NAME: Final[dict[str, dict[str, FieldDescriptor]]] = {}


def _fields(descriptor: Descriptor) -> dict[str, FieldDescriptor]:
    """By lowerCamelCase, and by protobuf's own names, which JSON parsers of protobuf take too."""
    found = _BY_JSON_NAME.get(descriptor.full_name)
    if found is None:
        found = {field.name: field for field in descriptor.fields}
        found |= {str(field.json_name): field for field in descriptor.fields}
        _BY_JSON_NAME[descriptor.full_name] = found
    return found


def _scalar(field: FieldDescriptor, value: object) -> object:
    if field.type == field.TYPE_STRING:
        if isinstance(value, str):
            return value
    elif field.type == field.TYPE_BOOL:
        if isinstance(value, bool):
            return value
    elif field.type == field.TYPE_BYTES:
        return _bytes(field.name, value)
    elif field.type in _INTEGERS:
        return _integer(field, value)
    else:
        return _double(field.name, value)
    raise _Wrong(f"{field.name} has another type than expected")


def _bytes(name: str, value: object) -> bytes:
    if not isinstance(value, str):
        raise _Wrong(f"{name} is no string")
    try:
        if name in _HEX_FIELDS:
            return bytes.fromhex(value)
        return base64.b64decode(value.replace("-", "+").replace("_", "/") + "=" * (-len(value) % 4), validate=True)
    except (ValueError, binascii.Error):
        raise _Wrong(f"{name} is not {'hexadecimal' if name in _HEX_FIELDS else 'base64'}") from None


def _integer(field: FieldDescriptor, value: object) -> int:
    if isinstance(value, str) and _INTEGER(value):
        value = int(value)
    elif isinstance(value, str) and field.enum_type is not None and value in field.enum_type.values_by_name:
        value = field.enum_type.values_by_name[value].number
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    least, most = _INTEGERS[field.type]
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise _Wrong(f"{field.name} is no integer from {least} to {most}")
    return value


def _double(name: str, value: object) -> float:
    if isinstance(value, str):
        if value in _SPECIAL_NUMBERS:
            return _SPECIAL_NUMBERS[value]
        try:
            return float(value)
        except ValueError:
            raise _Wrong(f"{name} is no number") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Wrong(f"{name} is no number")
    return float(value)
