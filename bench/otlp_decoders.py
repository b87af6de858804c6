"""`python -m bench.otlp_decoders`: what it costs to make columns of OTLP's protobuf, by the ways there are.

In: model calls in requests of 100 spans. Out: µs of CPU a span for each way, the best of the rounds, as docs/otlp.md
has them. The engine's own way runs in a chDB of this process, from a file, as an insert would read it.
"""

import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from rich.console import Console

from ingest.contracts.outcome import EventLimits
from ingest.loader.otlp import OtlpDecoder
from ingest.loader.otlp_wire import parse, read_requests
from tests.support.otlp_requests import traces

_REQUESTS, _SPANS, _ROUNDS = 100, 100, 4
_CHUNK = 8

# The fields that the rows need, as the engine's format wants them; the wire is OpenTelemetry's.
_SCHEMA = """syntax = "proto3";
message AnyValue { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4; }
message KeyValue { string key = 1; AnyValue value = 2; }
message Resource { repeated KeyValue attributes = 1; }
message Scope { string name = 1; string version = 2; }
message Span {
  bytes trace_id = 1; bytes span_id = 2; bytes parent_span_id = 4; string name = 5; int32 kind = 6;
  fixed64 start_time_unix_nano = 7; fixed64 end_time_unix_nano = 8; repeated KeyValue attributes = 9;
}
message ScopeSpans { Scope scope = 1; repeated Span spans = 2; }
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
message Request { repeated ResourceSpans resource_spans = 1; }
"""
_VALUE = "Tuple(string_value String, bool_value Bool, int_value Int64, double_value Float64)"
_ATTRIBUTES = f"attributes Array(Tuple(key String, value {_VALUE}))"
_SPAN = (
    "trace_id String, span_id String, parent_span_id String, name String, kind Int32, "
    f"start_time_unix_nano UInt64, end_time_unix_nano UInt64, {_ATTRIBUTES}"
)
_STRUCTURE = (
    f"resource_spans Array(Tuple(resource Tuple({_ATTRIBUTES}), scope_spans Array(Tuple("
    f"scope Tuple(name String, version String), spans Array(Tuple({_SPAN}))))))"
)


def main() -> int:
    """Measure, tell."""
    source = random.Random(1)  # the same requests every time
    now = time.time_ns()
    requests = [traces(_SPANS, now, source).SerializeToString() for _ in range(_REQUESTS)]
    decoder = OtlpDecoder("traces", EventLimits(), max_bytes=4 << 20)
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="meterhouse-decoders-") as folder:
        ways: dict[str, Callable[[], object]] = {
            "protobuf's upb: parsed to objects": lambda: [parse("traces", one) for one in requests],
            "protobuf's upb: objects walked to rows": lambda: [_rows(one) for one in requests],
            "ptars: Arrow columns, nested": lambda: [
                read_requests("traces", requests[at : at + _CHUNK]) for at in range(0, _REQUESTS, _CHUNK)
            ],
            "the loader's decoder on it: rows of the table, scrubbed": lambda: decoder.decode(requests, now // 10**6),
            "the engine's Protobuf format, exploded, not scrubbed": _engine(Path(folder), requests),
        }
        for name, way in ways.items():
            console.print(f"| {name} | {_least_us(way):.1f} |", markup=False)
    return 0


def _least_us(way: Callable[[], object]) -> float:
    way()
    took = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        way()
        took.append(time.process_time() - began)
    return min(took) * 1e6 / (_REQUESTS * _SPANS)


def _rows(value: bytes) -> list[tuple[object, ...]]:
    """As one would write it by hand: a tuple a span, attributes as a dict of text."""
    rows: list[tuple[object, ...]] = []
    request = parse("traces", value)
    for group in request.resource_spans:  # type: ignore[union-attr]  # a trace request
        resource = {one.key: _text(one.value) for one in group.resource.attributes}
        for scope in group.scope_spans:
            for span in scope.spans:
                said = {one.key: _text(one.value) for one in span.attributes}
                ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                times = (span.start_time_unix_nano, span.end_time_unix_nano)
                rows.append((*ids, *times, span.name, span.kind, scope.scope.name, resource, said))
    return rows


def _text(value: AnyValue) -> str:
    kind = value.WhichOneof("value")
    return str(getattr(value, kind)) if kind else ""


def _engine(folder: Path, requests: list[bytes]) -> Callable[[], object]:
    import chdb

    (folder / "otlp.proto").write_text(_SCHEMA, "utf-8")
    (folder / "requests.bin").write_bytes(b"".join(_varint(len(one)) + one for one in requests))
    query = (
        "select arrayJoin(scope.spans) as span, resource from (select arrayJoin(group.scope_spans) as scope, "
        "group.resource as resource from (select arrayJoin(resource_spans) as group "
        f"from file('{folder}/requests.bin', Protobuf, '{_STRUCTURE}'))) format Null "
        f"settings format_schema = '{folder}/otlp.proto:Request', max_threads = 1"
    )
    return lambda: chdb.query(query)  # type: ignore[no-untyped-call]


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


if __name__ == "__main__":
    sys.exit(main())
