"""What is kept of OTLP that cannot land, for dead letters: never content.

In: the bytes of a message, and which of its records are refused. Out: a payload to keep. What decodes is kept as OTLP's
JSON, scrubbed, with only the refused records and the workspace they are of, so that it can be sent again as it is. What
does not decode cannot be scrubbed: its SHA-256 and size are kept, by which it can be found where it came from.
"""

import base64
import hashlib
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Final

import msgspec
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from ingest.contracts.otlp_privacy import scrub
from ingest.loader.otlp_frame import ENVIRONMENT, WORKSPACE, Said
from ingest.loader.otlp_json import HEXADECIMAL
from ingest.loader.otlp_wire import Request, points_of

# Beyond 53 bits JSON's numbers are not safe with everybody; OTLP writes them as text.
_WIDE: Final = (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64)


def fingerprint(payload: bytes) -> bytes:
    """What stands for bytes that cannot be scrubbed."""
    return msgspec.json.encode({"sha256": hashlib.sha256(payload).hexdigest(), "bytes": len(payload)})


def only(request: Request, numbers: Collection[int], said: Said) -> bytes:
    """The request as OTLP's JSON with only the records of these numbers, scrubbed; changes `request`."""
    wanted, number = set(numbers), 0
    top = request.DESCRIPTOR.fields[0].name
    for resource in getattr(request, top):
        scopes = getattr(resource, resource.DESCRIPTOR.fields[1].name)
        for scope in scopes:
            records = getattr(scope, scope.DESCRIPTOR.fields[1].name)
            for group in _groups(records):
                kept = [one for place, one in enumerate(group, number) if place in wanted]
                number += len(group)
                if len(kept) < len(group):
                    _keep(group, kept)
            if scope.DESCRIPTOR.name == "ScopeMetrics":
                _remove(records, lambda metric: not any(len(points) for points in _groups([metric])))
        _remove(scopes, lambda scope: not len(getattr(scope, scope.DESCRIPTOR.fields[1].name)))
        _stamp(resource, WORKSPACE, said.workspace)
        _stamp(resource, ENVIRONMENT, said.environment)
    _remove(getattr(request, top), lambda one: not len(getattr(one, one.DESCRIPTOR.fields[1].name)))
    scrub(request, {})
    return msgspec.json.encode(_written(request))


def _groups(records: Sequence[Message]) -> Iterator[Any]:
    """The lists that hold records: the records themselves, or each metric's points."""
    if len(records) and records[0].DESCRIPTOR.name == "Metric":
        yield from (points_of(metric) for metric in records)
    else:
        yield records


def _keep(group: Any, kept: list[Message]) -> None:
    copies = []
    for one in kept:
        copy = type(one)()
        copy.CopyFrom(one)
        copies.append(copy)
    del group[:]
    group.extend(copies)


def _remove(messages: Any, is_empty: Callable[[Any], bool]) -> None:
    for place in range(len(messages) - 1, -1, -1):
        if is_empty(messages[place]):
            del messages[place]


def _stamp(resource: Any, name: str, value: str) -> None:
    """What the credential decided becomes an attribute, since headers do not outlive a dead letter."""
    if not value:
        return
    attributes = resource.resource.attributes
    _remove(attributes, lambda one: one.key == name)
    attributes.add(key=name).value.string_value = value


def _written(message: Any) -> object:
    """A message as OTLP's JSON."""
    return {
        field.json_name: [_one(field, item) for item in value] if field.is_repeated else _one(field, value)
        for field, value in message.ListFields()
    }


def _one(field: FieldDescriptor, value: Any) -> object:
    if field.message_type is not None:
        return _written(value)
    if isinstance(value, bytes):
        return value.hex() if field.name in HEXADECIMAL else base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return str(value) if field.cpp_type in _WIDE else value
