"""OTLP's JSON as protobuf, so that there is one way on.

In: the text of an export request. Out: the request; OtlpBytesError says what is wrong without quoting a value. Names
are lowerCamelCase (proto names are taken too), ids hexadecimal, bytes base64, 64-bit numbers text or number, enums
numbers (or names); unknown names are ignored: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

import msgspec
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from ingest.loader.otlp_wire import REQUESTS, OtlpBytesError, Request
from ingest.signals import Signal

_DEEPEST: Final = 64
HEXADECIMAL: Final = frozenset({"trace_id", "span_id", "parent_span_id"})
_NUMBERS: Final = re.compile(r"[+-]?\d{1,20}")
_NOT_FINITE: Final = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_DECODER: Final = msgspec.json.Decoder()


def read_json(signal: Signal, text: bytes) -> Request:
    """The request. Raises OtlpBytesError where it is none."""
    try:
        value = _DECODER.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise OtlpBytesError("expected one JSON object, came text that does not parse") from None
    request = REQUESTS[signal]()
    top = request.DESCRIPTOR.fields[0]
    if not isinstance(value, dict) or (value and not value.keys() & {top.name, top.json_name}):
        raise OtlpBytesError(f"expected a JSON object with {top.json_name}, came another")
    try:
        _fill(request, value, 0)
    except (ValueError, TypeError, OverflowError, binascii.Error) as error:
        if isinstance(error, OtlpBytesError):
            raise
        raise OtlpBytesError("a value does not fit its field") from None
    return request


def _fill(message: Message, values: Mapping[str, object], depth: int) -> None:
    if depth > _DEEPEST:
        raise OtlpBytesError(f"expected at most {_DEEPEST} levels, came more")
    fields = _fields(message.DESCRIPTOR)
    for name, value in values.items():
        field = fields.get(name)
        if field is None or value is None:
            continue
        if field.is_repeated:
            if not isinstance(value, list):
                raise _misfit(field, "an array")
            _extend(getattr(message, field.name), field, value, depth)
        elif field.message_type is not None:
            child = getattr(message, field.name)
            child.SetInParent()
            _fill(child, _object(field, value), depth + 1)
        else:
            setattr(message, field.name, _scalar(field)(value))


def _extend(target: object, field: FieldDescriptor, values: list[object], depth: int) -> None:
    if field.message_type is None:
        convert = _scalar(field)
        target.extend([convert(value) for value in values])  # type: ignore[attr-defined]  # protobuf's own list
        return
    for value in values:
        _fill(target.add(), _object(field, value), depth + 1)  # type: ignore[attr-defined]  # the same


def _object(field: FieldDescriptor, value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise _misfit(field, "an object")
    return value


@cache
def _fields(descriptor: Descriptor) -> dict[str, FieldDescriptor]:
    return {name: field for field in descriptor.fields for name in (field.json_name, field.name)}


@cache
def _scalar(field: FieldDescriptor) -> Callable[[object], object]:
    """How a JSON value becomes a value of this field; raises OtlpBytesError where it does not."""
    kind = field.cpp_type
    if field.type == FieldDescriptor.TYPE_BYTES:
        return lambda value: _bytes(field, value)
    if kind == FieldDescriptor.CPPTYPE_STRING:
        return lambda value: _of(field, value, str, "a string")
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return lambda value: _of(field, value, bool, "a boolean")
    if kind in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return lambda value: _double(field, value)
    return lambda value: _integer(field, value)


def _of(field: FieldDescriptor, value: object, kind: type, words: str) -> object:
    if not isinstance(value, kind):
        raise _misfit(field, words)
    return value


def _bytes(field: FieldDescriptor, value: object) -> bytes:
    if not isinstance(value, str):
        raise _misfit(field, "a string")
    try:
        if field.name in HEXADECIMAL:
            return bytes.fromhex(value)
        return base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_" if {"-", "_"} & set(value) else None)
    except (ValueError, binascii.Error):
        raise _misfit(field, "hexadecimal" if field.name in HEXADECIMAL else "base64") from None


def _double(field: FieldDescriptor, value: object) -> float:
    if isinstance(value, str):
        if value in _NOT_FINITE:
            return _NOT_FINITE[value]
        try:
            return float(value)
        except ValueError:
            raise _misfit(field, "a number") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _misfit(field, "a number")
    return float(value)


def _integer(field: FieldDescriptor, value: object) -> int:
    if isinstance(value, str):
        if field.enum_type is not None and value in field.enum_type.values_by_name:
            return int(field.enum_type.values_by_name[value].number)
        if _NUMBERS.fullmatch(value) is None:
            raise _misfit(field, "a whole number")
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _misfit(field, "a whole number")
    return value


def _misfit(field: FieldDescriptor, expected: str) -> OtlpBytesError:
    return OtlpBytesError(f"{field.json_name}: expected {expected}, came something else")
