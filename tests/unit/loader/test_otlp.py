"""OTLP as rows: what a record becomes, which is refused alone, what never lands, and what no bytes can do."""

import json
import random
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.contracts.outcome import EventLimits
from ingest.loader.otlp import MOST_RECORDS, OtlpDecoder
from ingest.loader.otlp_frame import Said
from ingest.loader.otlp_refused import only
from ingest.loader.otlp_wire import REQUESTS, Request, count_within
from ingest.loader.run import Decoded, Headers
from ingest.signals import Signal
from tests.support.otlp_requests import RESOURCE, Plain, attributes, logs, metrics, traces

NOW_NS = 1_795_000_000_123_456_789
NOW_MS = NOW_NS // 10**6
NAMELESS = {name: value for name, value in RESOURCE.items() if name != "meterhouse.workspace_id"}
DOOR: Headers = [("meterhouse-workspace", b"bought"), ("meterhouse-environment", b"staging")]


def decoder(signal: Signal = "traces", **given: object) -> OtlpDecoder:
    return OtlpDecoder(signal, EventLimits(), **{"max_bytes": 4 << 20, **given})  # type: ignore[arg-type]


def decode(
    *values: bytes | None, signal: Signal = "traces", headers: Sequence[Headers | None] = (), **given: object
) -> Decoded:
    return decoder(signal, **given).decode(values, NOW_MS, headers)


def calls(count: int = 3, resource: Mapping[str, Plain] = RESOURCE) -> ExportTraceServiceRequest:
    return traces(count, NOW_NS, random.Random(3), resource)


def said(rows: pa.Table) -> list[dict[str, object]]:
    """The rows without their times, for which Python has no type."""
    times = [name for name in rows.column_names if name.endswith("Timestamp")]
    said: list[dict[str, object]] = rows.drop_columns(times).to_pylist()
    return said


def as_json(request: Request) -> bytes:
    return only(request, range(99), Said())


def test_a_span_is_what_the_collectors_exporter_makes_of_it() -> None:
    request = calls(1)
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.trace_id, span.span_id, span.parent_span_id = b"\xab" * 16, b"\xcd" * 8, b"\x00" * 8
    span.end_time_unix_nano = NOW_NS + 5
    del span.attributes[:]
    values: dict[str, Plain] = {
        "b": True,
        "n": -7,
        "f": 0.1,
        "one": 1.0,
        "large": 1e21,
        "list": ["x", 1, 0.5],
        "map": {"b": 1, "a": [True]},
    }
    span.attributes.extend(attributes({**values, "raw": b"\x00\xff", "none": ""}))
    event = span.events.add(time_unix_nano=NOW_NS + 1, name="exception")
    event.attributes.extend(attributes({"exception.type": "Timeout", "exception.message": "SECRET"}))
    span.links.add(trace_id=b"\x01" * 16, span_id=b"\x02" * 8, trace_state="k=v")
    rows = decode(request.SerializeToString()).rows
    row = rows.drop_columns(["Timestamp", "Events.Timestamp", "ResourceAttributes"]).to_pylist()[0]
    assert rows.column("Timestamp").cast("int64").to_pylist() == [NOW_NS]
    assert rows.column("Events.Timestamp")[0].values.cast("int64").to_pylist() == [NOW_NS + 1]
    assert dict(row.pop("SpanAttributes")) == {
        "b": "true",
        "n": "-7",
        "f": "0.1",
        "one": "1",
        "large": "1e+21",
        "list": '["x",1,0.5]',
        "map": '{"a":[true],"b":1}',
        "raw": "AP8=",
        "none": "",
    }
    assert row == {
        "TraceId": "ab" * 16,
        "SpanId": "cd" * 8,
        "ParentSpanId": "",
        "TraceState": "",
        "SpanName": "chat gpt-4o",
        "SpanKind": "Client",
        "ServiceName": "agent-api",
        "ScopeName": "opentelemetry.instrumentation.openai_v2",
        "ScopeVersion": "2.1b0",
        "Duration": 5,
        "StatusCode": "Unset",
        "StatusMessage": "",
        "Events.Name": ["exception"],
        "Events.Attributes": [[("exception.type", "Timeout")]],
        "Links.TraceId": ["01" * 16],
        "Links.SpanId": ["02" * 8],
        "Links.TraceState": ["k=v"],
        "Links.Attributes": [[]],
        "workspace_id": "acme",
        "_environment": "",
        "_index": 0,
    }


def test_json_lands_as_the_same_rows_as_protobuf() -> None:
    requests: dict[Signal, Request] = {
        "traces": calls(),
        "logs": logs(["{}", {"a": 1}], NOW_NS),
        "metrics": metrics(NOW_NS),
    }
    for signal, request in requests.items():
        binary = decode(request.SerializeToString(), signal=signal)
        text = decode(b" \n" + as_json(request), signal=signal)
        assert text.rejected == []
        assert text.rows.equals(binary.rows)
        assert [one.rows for one in text.others] == [one.rows for one in binary.others]


def test_the_credential_decides_the_workspace_then_the_resource_then_the_setting() -> None:
    named, tenant = calls(1).SerializeToString(), calls(1, {**NAMELESS, "tenant.id": "t1"}).SerializeToString()
    nameless = calls(1, NAMELESS).SerializeToString()
    decoded = decode(named, named, tenant, nameless, headers=[DOOR, None, None, None], workspace="rest")
    assert decoded.rows.column("workspace_id").to_pylist() == ["bought", "acme", "t1", "rest"]
    assert decoded.rows.column("_environment").to_pylist() == ["staging", "", "", ""]
    (refused,) = decode(nameless).rejected
    assert (refused.error_class, refused.field) == ("missing_field", "workspace_id")
    (refused,) = decode(calls(1, {**NAMELESS, "tenant.id": "a b"}).SerializeToString()).rejected
    assert (refused.error_class, refused.field) == ("bad_identifier", "workspace_id")


def test_a_broken_record_is_refused_alone_and_can_be_sent_again_for_its_workspace() -> None:
    request = calls(4)
    spans = request.resource_spans[0].scope_spans[0].spans
    spans[0].trace_id, spans[1].span_id, spans[2].start_time_unix_nano = b"\x00" * 16, b"short", 0
    spans[1].status.message = "SECRET"
    spans[1].attributes.extend(attributes({"gen_ai.prompt": "SECRET", "note": "of jane@example.com"}))
    decoded = decode(calls(1).SerializeToString(), request.SerializeToString(), headers=[None, DOOR])
    assert decoded.origin.to_pylist() == [0, 1]
    assert decoded.rows.column("_index").to_pylist() == [0, 3]
    assert decoded.records == 5
    (refused,) = decoded.rejected
    assert (refused.index, refused.error_class, refused.records) == (1, "bad_identifier", 3)
    assert refused.workspace_id == "bought"
    kept = json.loads(refused.payload or b"")
    assert len(kept["resourceSpans"][0]["scopeSpans"][0]["spans"]) == 3
    assert b"SECRET" not in (refused.payload or b"")
    assert b"jane@" not in (refused.payload or b"")
    kept["resourceSpans"][0]["scopeSpans"][0]["spans"][1]["spanId"] = "0102030405060708"
    again = decode(json.dumps(kept).encode())
    assert again.rows.column("workspace_id").to_pylist() == ["bought"]
    assert again.rows.column("_environment").to_pylist() == ["staging"]
    assert again.rows.column("SpanId").to_pylist() == ["0102030405060708"]


@pytest.mark.parametrize(
    ("value", "error_class", "says"),
    [
        (None, "malformed_otlp", "a message without a value"),
        (b"\x0a\xff", "malformed_otlp", "Protobuf"),
        (b'{"resourceSpans": 1}', "malformed_otlp", "resourceSpans: expected an array"),
        (b'{"sha256": "ab", "bytes": 3}', "malformed_otlp", "expected a JSON object with resourceSpans"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "SECRET"}]}]}]}', "malformed_otlp", "hexadecimal"),
        (b"\n" * (4 << 20) + b"{}", "too_large", "METERHOUSE_OTLP_MAX_BYTES"),
    ],
)
def test_a_broken_message_is_refused_whole_beside_good_ones(value: bytes | None, error_class: str, says: str) -> None:
    good = calls(2).SerializeToString()
    decoded = decode(good, value, good)
    assert decoded.origin.to_pylist() == [0, 0, 2, 2]
    (refused,) = decoded.rejected
    assert (refused.index, refused.error_class) == (1, error_class)
    assert says in refused.reason
    assert "SECRET" not in refused.reason


def test_an_empty_request_lands_nothing_and_is_no_error() -> None:
    decoded = decode(b"", b"{}", calls(0).SerializeToString())
    assert (decoded.row_count, decoded.rejected) == (0, [])


def test_what_must_not_land_is_dropped_by_name_and_masked_by_look() -> None:
    request = calls(1)
    request.resource_spans[0].resource.attributes.extend(
        attributes({"user.email": "SECRET", "owner": "jane@example.com"})
    )
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.name, span.trace_state = "GET /u/jane@example.com", "v=jane@example.com"
    del span.attributes[:]
    span.attributes.extend(
        attributes(
            {
                "gen_ai.prompt": "SECRET",
                "gen_ai.usage.input_tokens": 12,
                "llm.token_count.prompt": 5,
                "user.id": 7,
                "meta": '{"password": "SECRET", "ok": 1}',
                "deep": {"api_key": "SECRET", "fine": ["jane%40example.com"]},
                "key": "gen_ai.completion",
                "value": "SECRET",
                "blob": b"jane@example.com",
                "jane@example.com": "SECRET",
            }
        )
    )
    decoded = decode(request.SerializeToString())
    row = decoded.rows.drop_columns(["Timestamp"]).to_pylist()[0]
    assert "SECRET" not in str(row)
    assert "jane" not in str(row)
    assert dict(row["SpanAttributes"]) == {
        "gen_ai.usage.input_tokens": "12",
        "llm.token_count.prompt": "5",
        "meta": '{"password":"[dropped]","ok":1}',
        "deep": '{"fine":["[email]"]}',
        "key": "gen_ai.completion",
        "blob": "[dropped]",
    }
    assert dict(row["ResourceAttributes"])["owner"] == "[email]"
    assert decoded.dropped_fields["denied.email"] >= 1


def test_equal_log_records_of_a_message_stay_apart_and_those_of_two_messages_are_one() -> None:
    event = '{"type": "tool_call"}'
    value = logs([event, "{}", event], NOW_NS).SerializeToString()
    rows = decode(value, value, signal="logs").rows
    assert rows.column("_copy").to_pylist() == [0, 0, 1, 0, 0, 1]
    assert rows.column("Body").to_pylist()[:2] == [event, "{}"]


def test_a_body_lands_only_where_it_is_no_sentence() -> None:
    bodies: list[Plain] = [
        "SECRET words",
        "run_started",
        '{"prompt": "SECRET", "tokens": 3}',
        {"prompt": "SECRET", "n": 1},
        7,
        b"SECRET",
    ]
    rows = decode(logs(bodies, NOW_NS).SerializeToString(), signal="logs").rows
    assert rows.column("Body").to_pylist() == [
        "[dropped]",
        "run_started",
        '{"prompt":"[dropped]","tokens":3}',
        '{"n":1}',
        "7",
        "[dropped]",
    ]


def test_a_log_without_time_takes_the_one_observed_or_that_of_its_claim() -> None:
    request = logs(["{}", "{}"], 0)
    request.resource_logs[0].scope_logs[0].log_records[0].observed_time_unix_nano = NOW_NS - 10**9
    times = decode(request.SerializeToString(), signal="logs").rows.column("Timestamp").cast("int64").to_pylist()
    assert times == [NOW_NS - 10**9, NOW_MS * 10**6]


def test_points_go_to_the_table_of_their_kind_and_count_over_all_kinds() -> None:
    decoded = decode(metrics(NOW_NS).SerializeToString(), signal="metrics")
    tables = {"otel_metrics_gauge": decoded.rows, **{one.table: one.rows for one in decoded.others}}
    numbers = {name: rows.column("_index").to_pylist() for name, rows in tables.items()}
    assert numbers == {
        "otel_metrics_gauge": [0],
        "otel_metrics_sum": [1, 2],
        "otel_metrics_histogram": [3],
        "otel_metrics_exponential_histogram": [4],
        "otel_metrics_summary": [5],
    }
    total = tables["otel_metrics_sum"].to_pylist()[0]
    assert (total["Value"], total["IsMonotonic"], total["AggregationTemporality"]) == (1.5, True, 2)
    assert (total["Exemplars.Value"], total["Exemplars.SpanId"]) == ([7.0], ["01" * 8])
    assert tables["otel_metrics_gauge"].to_pylist()[0]["Value"] == 3.0
    fine = tables["otel_metrics_exponential_histogram"].to_pylist()[0]
    assert (fine["PositiveOffset"], fine["PositiveBucketCounts"], fine["NegativeBucketCounts"]) == (2, [1, 1], [1])
    assert tables["otel_metrics_summary"].to_pylist()[0]["ValueAtQuantiles.Value"] == [0.125]


def test_a_resource_that_would_grow_beyond_measure_is_refused() -> None:
    request = calls(500, {**RESOURCE, "blob": "x" * 50_000})
    decoded = decode(request.SerializeToString(), calls(1).SerializeToString())
    assert decoded.origin.to_pylist() == [1]
    assert [one.error_class for one in decoded.rejected] == ["too_large"]


def test_millions_of_empty_records_are_counted_before_anything_is_decoded() -> None:
    def bomb(spans: int) -> bytes:
        inner = b"\x12\x00" * spans
        scope = b"\x12" + _varint(len(inner)) + inner
        return b"\x0a" + _varint(len(scope)) + scope

    assert [one.error_class for one in decode(bomb(MOST_RECORDS + 1)).rejected] == ["too_large"]
    assert count_within("traces", bomb(5), 5)
    assert not count_within("traces", bomb(6), 5)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(REQUESTS)), st.data())
def test_no_bytes_raise_or_harm_their_neighbours(signal: Signal, data: st.DataObject) -> None:
    whole = {"traces": calls(2), "logs": logs(["{}"], NOW_NS), "metrics": metrics(NOW_NS)}[signal].SerializeToString()
    start = data.draw(st.integers(0, len(whole)))
    broken = whole[:start] + data.draw(st.binary(max_size=12)) + whole[data.draw(st.integers(start, len(whole))) :]
    value = data.draw(st.one_of(st.just(broken), st.binary(max_size=40), st.binary(max_size=40).map(b"{".__add__)))
    alone = decode(whole, signal=signal)
    beside = decode(whole, value, signal=signal)
    assert said(beside.rows.slice(0, alone.rows.num_rows)) == said(alone.rows)
    assert all(one.index == 1 for one in beside.rejected)
