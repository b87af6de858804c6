"""What leaves OTLP before it is kept, and that the walk over bytes does what the walk over messages does."""

import copy

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from ingest.contracts.otlp_bytes import UnreadableError, scrub_bytes
from ingest.contracts.otlp_pieces import REQUEST_TYPES, pieces
from ingest.contracts.otlp_privacy import ExportRequest, scrub
from ingest.contracts.pseudonyms import IdentityKey, Pseudonyms
from ingest.signals import SIGNALS, Signal
from tests.support import otlp
from tests.support.otlp import PLANTED, attribute

NAMES = Pseudonyms([IdentityKey("k7", b"s" * 32)])


def signal_of(request: ExportRequest) -> Signal:
    kinds: dict[type, Signal] = {
        ExportTraceServiceRequest: "traces",
        ExportLogsServiceRequest: "logs",
        ExportMetricsServiceRequest: "metrics",
    }
    return kinds[type(request)]


def scrubbed(request: ExportRequest) -> tuple[ExportRequest, dict[str, int]]:
    counts: dict[str, int] = {}
    signal = signal_of(request)
    done = scrub_bytes(signal, request.SerializeToString(), counts, NAMES, "acme")
    read = REQUEST_TYPES[signal]()
    read.ParseFromString(done.wire)
    return read, counts


def linked(*given: KeyValue) -> Span:
    """A span whose link has these attributes."""
    made = otlp.span()
    made.links.add(trace_id=b"1" * 16, span_id=b"1" * 8).attributes.extend(given)
    return made


def attributes_left(*given: object) -> dict[str, str]:
    request, _ = scrubbed(otlp.traces(otlp.span(*given)))  # type: ignore[arg-type]
    assert isinstance(request, ExportTraceServiceRequest)
    found = request.resource_spans[0].scope_spans[0].spans[0].attributes
    return {one.key: one.value.string_value or str(one.value.int_value) for one in found}


@given(st.one_of(otlp.trace_requests, otlp.log_requests, otlp.metric_requests))
@settings(max_examples=120, deadline=None)
@example(otlp.traces(otlp.span(attribute("key", "user.id"), attribute("value", "bob"))))
@example(otlp.traces(linked(attribute("input.value", "planted words"))))
@example(otlp.traces(otlp.span(KeyValue(), KeyValue(key="prompt"), KeyValue(value=AnyValue(string_value="x")))))
def test_bytes_and_messages_are_scrubbed_alike(request: ExportRequest) -> None:
    by_bytes, counts = scrubbed(request)
    reference = copy.deepcopy(request)
    reference_counts: dict[str, int] = {}
    scrub(reference, reference_counts, NAMES, "acme")
    assert str(by_bytes) == str(reference)
    assert counts == reference_counts
    again, more = scrubbed(by_bytes)
    assert (again, more) == (by_bytes, {})


@given(st.one_of(otlp.trace_requests, otlp.log_requests, otlp.metric_requests))
@settings(max_examples=80, deadline=None)
def test_no_planted_address_survives_in_any_field(request: ExportRequest) -> None:
    by_bytes, _ = scrubbed(request)
    assert PLANTED.encode() not in by_bytes.SerializeToString()


@given(st.sampled_from(SIGNALS), st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_read_or_refused_and_what_is_read_is_protobuf(signal: Signal, wire: bytes) -> None:
    try:
        done = scrub_bytes(signal, wire, {}, NAMES, "acme")
    except UnreadableError:
        return
    REQUEST_TYPES[signal]().ParseFromString(done.wire)


@given(otlp.trace_requests, st.data())
@settings(max_examples=150, deadline=None)
def test_a_damaged_request_is_read_or_refused_and_what_is_read_is_protobuf(
    request: ExportTraceServiceRequest, data: st.DataObject
) -> None:
    wire = bytearray(request.SerializeToString())
    if wire:
        for _ in range(data.draw(st.integers(1, 3))):
            wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    try:
        done = scrub_bytes("traces", bytes(wire), {}, NAMES, "acme")
    except UnreadableError:
        return
    left = ExportTraceServiceRequest.FromString(done.wire)
    assert PLANTED.encode() not in left.SerializeToString()


def test_prompts_and_users_become_keyed_hashes_and_measures_stay() -> None:
    left = attributes_left(
        attribute("user.id", "bob"),
        attribute("gen_ai.prompt.0.content", "planted words"),
        attribute("gen_ai.completion.0.content", "planted words"),
        attribute("gen_ai.usage.input_tokens", 7),
        attribute("llm.input", 12),
    )
    assert left.pop("meterhouse.actor_id") == NAMES.actor("acme", "bob")
    assert left.pop("meterhouse.prompt_hash").startswith("k7:")
    assert left == {"gen_ai.usage.input_tokens": "7", "llm.input": "12"}


def test_two_reports_of_one_prompt_have_one_hash_whatever_else_they_repeat() -> None:
    messages = attribute("gen_ai.input.messages", "[the question]")
    alone = attributes_left(messages)
    both = attributes_left(attribute("input.value", "another spelling of it"), messages)
    assert alone["meterhouse.prompt_hash"] == both["meterhouse.prompt_hash"]


def test_text_of_status_and_log_bodies_goes_and_json_bodies_stay_without_content() -> None:
    failed = otlp.span()
    failed.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message="planted words"))
    request, counts = scrubbed(otlp.traces(failed))
    assert isinstance(request, ExportTraceServiceRequest)
    status = request.resource_spans[0].scope_spans[0].spans[0].status
    assert (status.message, status.code, counts) == ("", Status.STATUS_CODE_ERROR, {"status_message": 1})

    logs = ExportLogsServiceRequest()
    records = logs.resource_logs.add().scope_logs.add().log_records
    for body in ("planted words", "run_started", '{"type":"token_usage","tokens":5,"prompt":"planted words"}'):
        records.append(LogRecord(body=AnyValue(string_value=body)))
    read, _ = scrubbed(logs)
    assert isinstance(read, ExportLogsServiceRequest)
    bodies = [one.body.string_value for one in read.resource_logs[0].scope_logs[0].log_records]
    assert bodies == ["[dropped]", "run_started", '{"type":"token_usage","tokens":5,"prompt":"[dropped]"}']


def test_fields_that_otlp_does_not_know_are_not_kept() -> None:
    wire = otlp.traces(otlp.span()).SerializeToString() + b"\xfa\x07\x0dplanted words"
    assert b"planted" not in scrub_bytes("traces", wire, {}, NAMES, "acme").wire


def test_a_span_without_good_ids_is_refused_alone() -> None:
    bad = otlp.span()
    bad.trace_id = b"planted"
    done = scrub_bytes("traces", otlp.traces(otlp.span(), bad).SerializeToString(), {}, NAMES, "acme")
    assert (done.items, done.refused) == (1, {"bad_identifier": 1})
    assert b"planted" not in done.wire


def test_a_million_empty_messages_cost_little() -> None:
    with pytest.raises(UnreadableError):
        scrub_bytes("traces", b"\x0a\x00" * 1_000_000, {})


def test_a_request_is_cut_into_pieces_that_hold_every_span_once() -> None:
    spans = [otlp.span(attribute("note", "x" * 900), number=number) for number in range(1, 60)]
    huge = otlp.span(attribute("note", "x" * 50_000), number=99)
    resource = (attribute("service.name", "svc"),)
    wire = otlp.traces(*spans[:30], huge, *spans[30:], resource=resource).SerializeToString()
    cut, too_large = pieces("traces", wire, 10_000)
    assert too_large == 1
    assert max(map(len, cut)) <= 10_000
    read = [ExportTraceServiceRequest.FromString(piece) for piece in cut]
    found = [one for request in read for one in request.resource_spans[0].scope_spans[0].spans]
    assert found == spans
    assert {request.resource_spans[0].resource.attributes[0].key for request in read} == {"service.name"}
