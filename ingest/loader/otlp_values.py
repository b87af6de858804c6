"""What an attribute's value is as text: as the Collector's ClickHouse exporter writes it (pcommon.Value.AsString).

In: AnyValues, or numbers. Out: text. Booleans are true and false, numbers in JavaScript's notation, bytes base64,
arrays and maps JSON, scrubbed on the way (rule "no content"). Nothing here raises for any value.
"""

import base64
import math
from collections.abc import Mapping

import msgspec
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from ingest.contracts.otlp_privacy import scrub
from ingest.contracts.privacy import MAX_SCRUB_DEPTH

_TOO_DEEP = "[dropped]"
_ANY_NAME = "any"  # one that no rule denies


def number_text(value: float) -> str:
    """A double as Go's JSON has it: no exponent between 1e-6 and 1e21, no point where nothing follows it."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    if value == 0:
        return "-0" if math.copysign(1.0, value) < 0 else "0"
    text = repr(value)
    if 1e-6 <= abs(value) < 1e21:
        if "e" in text:
            places = max(0, int(text.partition("e-")[2] or 0) + len(text.partition("e")[0].partition(".")[2]))
            text = f"{value:.{places}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa, _, exponent = text.partition("e") if "e" in text else f"{value:e}".partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    sign = "-" if exponent.startswith("-") else "+"
    return f"{mantissa}e{sign}{exponent.lstrip('+-').lstrip('0') or '0'}"


def plain(value: AnyValue, depth: int = 0) -> object:
    """An AnyValue as what JSON can say; deeper than rule 'bounded' allows becomes `[dropped]`."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    if kind not in ("array_value", "kvlist_value"):
        scalar: object = getattr(value, kind)
        return _json_number(scalar) if isinstance(scalar, float) else scalar
    if depth >= MAX_SCRUB_DEPTH:
        return _TOO_DEEP
    if kind == "array_value":
        return [plain(item, depth + 1) for item in value.array_value.values]
    return {item.key: plain(item.value, depth + 1) for item in value.kvlist_value.values}


def _json_number(value: float) -> object:
    if not math.isfinite(value):
        return number_text(value)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def nested_text(value: AnyValue, counts: dict[str, int]) -> str:
    """An array or a map as JSON, without what must not land; `counts` takes what was dropped, by rule.

    The door's own rules, on a request with nothing else in it: such values are few, and alike.
    """
    holder = ExportLogsServiceRequest()
    attribute = holder.resource_logs.add().resource.attributes.add(key=_ANY_NAME, value=value)
    scrub(holder, counts)
    return msgspec.json.encode(_keyed(plain(attribute.value))).decode()


def _keyed(value: object) -> object:
    """Maps sorted by key, as Go writes them, so that the same map is the same text."""
    if isinstance(value, Mapping):
        return {key: _keyed(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_keyed(item) for item in value]
    return value
