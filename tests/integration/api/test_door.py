"""The front door as its clients see it: a real server, a real broker, real OTLP exporters."""

import gzip
import json
import socket
import time
import uuid

import grpc
import pytest
from backports import zstd
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from tests.support import otlp
from tests.support.door import RunningDoor
from tests.support.otlp import attribute

PROTOBUF = "application/x-protobuf"
CANARY = "zq9-canary-words"
ADDRESS = "zq9.canary@example.org"


def event(**more: object) -> dict[str, object]:
    return {
        "event_id": str(uuid.uuid4()),
        "event_type": "llm_call",
        "occurred_at": time.time_ns() // 1_000_000,
        "model": "gpt-4o",
        **more,
    }


def body(*events: object) -> bytes:
    return json.dumps(events).encode()


def ids(door: RunningDoor) -> list[str]:
    return [json.loads(message.value() or b"")["event_id"] for message in door.messages("agent_events")]


def test_events_are_in_kafka_when_the_answer_comes_and_refused_ones_are_named(door: RunningDoor) -> None:
    good = [event(), event(context={"a": 1.10})]
    answer = door.post("/v1/events", body(good[0], event(input_tokens=-1), good[1], event(workspace_id="bolt")))
    assert answer.status == 200
    found = answer.json
    assert (found["accepted"], found["refused"]) == (2, 2)
    errors = found["errors"]
    assert isinstance(errors, list)
    assert [(one["index"], one["error_class"]) for one in errors] == [(1, "out_of_range"), (3, "wrong_workspace")]
    messages = [one for one in door.messages("agent_events") if (one.value() or b"")[13:49] in str(good).encode()]
    assert [one.key() for one in messages] == [b"acme", b"acme"]
    assert {json.loads(one.value() or b"")["workspace_id"] for one in messages} == {"acme"}


@pytest.mark.parametrize(
    ("encoding", "media_type"),
    [("gzip", "application/json"), ("zstd", "application/x-ndjson"), ("identity", "application/x-ndjson")],
)
def test_every_form_of_a_batch_is_taken(door: RunningDoor, encoding: str, media_type: str) -> None:
    events = [event() for _ in range(3)]
    plain = b"\n".join(json.dumps(one).encode() for one in events)
    if media_type == "application/json":
        plain = json.dumps({"events": events}).encode()
    packed = gzip.compress(plain) if encoding == "gzip" else zstd.compress(plain) if encoding == "zstd" else plain
    answer = door.post("/v1/events", packed, media_type, headers={"Content-Encoding": encoding})
    assert (answer.status, answer.json["accepted"]) == (200, 3)
    assert {str(one["event_id"]) for one in events} <= set(ids(door))


def test_a_replay_a_stranger_and_an_old_signature_are_refused(door: RunningDoor) -> None:
    batch = body(event())
    signing = door.signing(batch)
    assert door.post("/v1/events", batch, signing=signing).status == 200
    assert door.post("/v1/events", batch, signing=signing).status == 409
    assert door.post("/v1/traces", batch, signing=signing).status == 409
    assert door.post("/v1/events", batch, signing=door.signing(b"other")).status == 401
    assert door.post("/v1/events", batch, signing=door.signing(batch, at_s=time.time() - 400)).status == 401
    answer = door.post("/v1/events", batch, signing={})
    assert answer.status == 401
    assert "www-authenticate" in answer.headers


def test_a_body_of_another_workspace_is_refused_and_the_reserved_path_says_so(door: RunningDoor) -> None:
    answer = door.post("/v1/events", body(event(workspace_id="bolt")))
    assert (answer.status, answer.json["accepted"]) == (403, 0)
    assert door.post("/v1/product-events", b"{}").status == 501
    assert door.request("GET", "/v1/events").status == 405
    assert door.request("GET", "/nothing").status == 404


def test_otlp_answers_in_the_content_type_it_was_asked_in(door: RunningDoor) -> None:
    bad = otlp.span(number=5)
    bad.span_id = b""
    wire = otlp.traces(otlp.span(number=4), bad).SerializeToString()
    answer = door.post("/v1/traces", gzip.compress(wire), PROTOBUF, headers={"Content-Encoding": "gzip"})
    assert (answer.status, answer.headers["content-type"]) == (200, PROTOBUF)
    assert ExportTraceServiceResponse.FromString(answer.body).partial_success.rejected_spans == 1
    answer = door.post("/v1/traces", b"\x0a\x05abc", PROTOBUF)
    assert (answer.status, answer.headers["content-type"], answer.body[:2]) == (400, PROTOBUF, b"\x08\x03")
    answer = door.post("/v1/logs", b"{}")
    assert (answer.status, answer.json) == (200, {})
    answer = door.post("/v1/logs", b"[]")
    assert (answer.status, answer.json["code"]) == (400, 3)
    assert door.post("/v1/metrics", b"", "text/plain").status == 415
    foreign = otlp.traces(otlp.span(), resource=(attribute("meterhouse.workspace_id", "bolt"),))
    assert door.post("/v1/traces", foreign.SerializeToString(), PROTOBUF).status == 403


def sdk_span() -> ReadableSpan:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    memory, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    with provider.get_tracer("tests").start_as_current_span("chat") as span:
        span.set_attribute("gen_ai.usage.input_tokens", 7)
        span.set_attribute("gen_ai.prompt.0.content", CANARY)
    return memory.get_finished_spans()[0]


def test_the_exporters_of_opentelemetry_send_by_http_and_grpc(door: RunningDoor) -> None:
    span, seen = sdk_span(), len(door.messages("otlp_traces"))
    headers = {"authorization": f"Bearer {door.token}"}
    over_http = HttpExporter(f"http://127.0.0.1:{door.port}/v1/traces", headers=headers)
    assert over_http.export([span]) is SpanExportResult.SUCCESS
    over_grpc = GrpcExporter(f"127.0.0.1:{door.grpc_port}", insecure=True, headers=headers)
    assert over_grpc.export([span]) is SpanExportResult.SUCCESS
    over_grpc.shutdown()
    found = door.messages("otlp_traces")[seen:]
    assert len(found) == 2
    for message in found:
        assert dict(message.headers() or [])["meterhouse-workspace"] == b"acme"
        request = ExportTraceServiceRequest.FromString(message.value() or b"")
        names = {one.key for one in request.resource_spans[0].scope_spans[0].spans[0].attributes}
        assert names == {"gen_ai.usage.input_tokens", "meterhouse.prompt_hash"}


def test_grpc_says_what_is_wrong_with_a_status(door: RunningDoor) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{door.grpc_port}") as channel:
        export: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        )
        for content, metadata, expected in (
            (b"", (), grpc.StatusCode.UNAUTHENTICATED),
            (b"\x0a\x05abc", door.signing(b"\x0a\x05abc").items(), grpc.StatusCode.INVALID_ARGUMENT),
            (b"\0" * (17 << 20), (), grpc.StatusCode.RESOURCE_EXHAUSTED),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                export(content, metadata=tuple((k.lower(), v) for k, v in metadata), timeout=30)
            assert caught.value.code() is expected


def planted_traces() -> ExportTraceServiceRequest:
    span = otlp.span(
        *(attribute(name, CANARY) for name in ("gen_ai.prompt.0.content", "input.value", "user.id", "llm.completions")),
        attribute("note", f"of {ADDRESS}"), attribute(ADDRESS, "x"), attribute("blob", json.dumps({"prompt": CANARY})),
        number=77, name=f"chat {ADDRESS}",
    )  # fmt: skip
    span.trace_state = f"a={ADDRESS}"
    span.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message=CANARY))
    span.events.add(name=ADDRESS).attributes.append(attribute("exception.message", CANARY))
    span.links.add(trace_id=b"1" * 16).attributes.append(attribute("messages", CANARY))
    request = otlp.traces(span, resource=(attribute("enduser.id", CANARY), attribute("host.ip", CANARY)))
    request.resource_spans[0].schema_url = f"https://{ADDRESS}/"
    scope = request.resource_spans[0].scope_spans[0]
    scope.scope.name = scope.scope.version = ADDRESS
    return request


def planted_logs() -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for text in (CANARY, json.dumps({"type": "run_started", "prompt": CANARY, "user_id": CANARY})):
        record = LogRecord(body=AnyValue(string_value=text), severity_text=ADDRESS, event_name=ADDRESS)
        record.attributes.append(attribute("gen_ai.output.messages", CANARY))
        records.append(record)
    return request


def planted_metrics() -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="m", description=ADDRESS, unit=ADDRESS)
    point = metric.gauge.data_points.add(as_int=1)
    point.attributes.append(attribute("user.id", CANARY))
    point.exemplars.add().filtered_attributes.append(attribute("prompt", CANARY))
    return request


def test_nothing_planted_in_any_field_of_any_path_is_in_kafka_or_the_logs(door: RunningDoor) -> None:
    content = dict.fromkeys(("prompt", "completion", "messages", "user_id", "authorization", "api_key"), CANARY)
    texts = dict.fromkeys(("agent", "route", "model", "service", "run_id", "session_id", "actor_id"), f"x {ADDRESS}")
    batches = [
        event(**content),
        event(**texts),
        event(context={**content, "note": ADDRESS, "list": [{"email": CANARY}]}),
    ]
    broken = [
        event(event_type=CANARY),
        event(input_tokens=CANARY),
        event(occurred_at=CANARY),
        CANARY,
        event(status=CANARY),
    ]
    answers = [door.post("/v1/events", body(*batches, *broken), headers={"X-Planted": CANARY})]
    assert answers[0].json["accepted"] == 3
    for path, request in (
        ("/v1/traces", planted_traces()), ("/v1/logs", planted_logs()), ("/v1/metrics", planted_metrics()),
    ):  # fmt: skip
        answers.append(door.post(path, request.SerializeToString(), PROTOBUF))
        assert answers[-1].status == 200
        answers.append(door.post(path, f'{{"x": "{CANARY}'.encode()))
    answers.append(door.post(f"/v1/{CANARY}?a={ADDRESS}", b"{}"))
    everything = b"".join(answer.body for answer in answers[1:])
    everything += door.server.log.read_bytes() + door.request("GET", "/metrics").body
    for topic in ("agent_events", "otlp_traces", "otlp_logs", "otlp_metrics"):
        messages = door.messages(topic)
        assert messages
        everything += b"".join((one.value() or b"") + (one.key() or b"") for one in messages)
    assert CANARY.encode() not in everything
    assert ADDRESS.encode() not in everything
    log = door.server.log.read_text()
    assert "127.0.0.1" not in log.replace("listening on http://127.0.0.1", "").replace("gRPC on 127.0.0.1", "")
    assert not any(secret in log for secret in door.secrets.values())


BOMB = gzip.compress(b"\0" * 60_000_000)
BOMBS = [
    ("/v1/events", "application/json", BOMB, "gzip"),
    ("/v1/events", "application/json", b"[" * 3_000_000, ""),
    ("/v1/events", "application/json", b'[{"context":' + b'{"a":' * 600_000, ""),
    ("/v1/events", "application/json", b"[" + b"[]," * 1_000_000 + b"[]]", ""),
    ("/v1/events", "application/x-ndjson", b"{}\n" * 1_000_000, ""),
    ("/v1/traces", PROTOBUF, BOMB, "gzip"),
    ("/v1/traces", PROTOBUF, gzip.compress(b"\x0a\x00" * 5_000_000), "gzip"),
    ("/v1/traces", PROTOBUF, b"\x0a\xff\xff\xff\xff\x0f", ""),
    ("/v1/traces", PROTOBUF, b"\x0b" * 1000, ""),
    ("/v1/logs", "application/json", b'{"resourceLogs":' * 200_000, ""),
    ("/v1/metrics", "application/json", b'{"resourceMetrics":[' + b"{}," * 900_000 + b"{}]}", ""),
]


def test_bombs_are_refused_without_a_defect_and_in_bounded_memory(door: RunningDoor) -> None:
    for path, media_type, content, encoding in BOMBS:
        answer = door.post(path, content, media_type, headers={"Content-Encoding": encoding} if encoding else {})
        assert answer.status in (400, 413), (path, content[:20], answer)
    giant = otlp.traces(otlp.span(attribute("note", "x" * 2_000_000), number=9), otlp.span(number=10))
    answer = door.post("/v1/traces", giant.SerializeToString(), PROTOBUF)
    assert ExportTraceServiceResponse.FromString(answer.body).partial_success.rejected_spans == 1
    peak = int(next(
        line.split()[1] for line in open(f"/proc/{door.server.pid}/status") if line.startswith("VmHWM")  # noqa: SIM115, PTH123
    ))  # fmt: skip
    assert peak < 600_000, f"{peak} KiB"
    assert "front_door_defect" not in door.server.log.read_text()


def test_a_head_without_end_is_hung_up_on(door: RunningDoor) -> None:
    head = b"POST /v1/events HTTP/1.1\r\n" + (b"x-filler: " + b"y" * 4_000 + b"\r\n") * 5_000
    with (
        socket.create_connection(("127.0.0.1", door.port), timeout=20) as client,
        pytest.raises(OSError, match=r"reset|[Pp]ipe|closed"),
    ):
        client.sendall(head)
    assert door.post("/v1/events", body(event())).status == 200


def test_a_refusal_before_the_body_has_come_reaches_a_client_that_is_still_sending(door: RunningDoor) -> None:
    answer = door.post("/v1/events", b"x" * 6_000_000, signing={})
    assert (answer.status, answer.json["error"]) == (401, answer.json["error"])
    assert door.post("/v1/events", b"x" * 6_000_000).status == 413
