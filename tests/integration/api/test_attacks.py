"""What nobody sends by accident, against a real server: each is answered or hung up on, none is a defect, memory stays.

The read timeout is a second, so that slow clients are seen to be given up.
"""

import gzip
import json
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tests.conftest import Broker
from tests.support import otlp
from tests.support.door import RunningDoor, start_door
from tests.support.otlp import attribute

PROTOBUF, JSON = "application/x-protobuf", "application/json"
MOST_KIB = 600_000


@pytest.fixture(scope="module")
def door(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDoor]:
    folder = tmp_path_factory.mktemp("attacked")
    more = {"METERHOUSE_API_READ_TIMEOUT_S": "1", "METERHOUSE_API_MAX_CONNECTIONS": "150"}
    running = start_door(folder, broker.bootstrap, prefix=f"{folder.name}_", more=more)
    yield running
    running.server.stop()


@pytest.fixture(autouse=True)
def sound(door: RunningDoor) -> Iterator[None]:
    """After each attack the server takes a batch as before, had no defect and did not grow."""
    yield
    assert door.server.process.poll() is None
    assert door.post("/v1/events", json.dumps([event()]).encode()).status == 200
    assert "front_door_defect" not in door.server.log.read_text()
    with open(f"/proc/{door.server.pid}/status") as file:  # noqa: PTH123
        peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    assert peak < MOST_KIB, f"{peak} KiB"


def event(**more: object) -> dict[str, object]:
    at = time.time_ns() // 1_000_000
    return {"event_id": str(uuid.uuid4()), "event_type": "llm_call", "occurred_at": at, **more}


def spliced(text: bytes) -> bytes:
    """A batch of one good event and one with `text` as its member, which need not be JSON."""
    return b"[" + json.dumps(event()).encode() + b"," + json.dumps(event()).encode()[:-1] + b"," + text + b"}]"


@pytest.mark.parametrize(
    ("text", "statuses"),
    [
        (b'"cost_usd": NaN', (400,)),
        (b'"cost_usd": Infinity', (400,)),
        (b'"cost_usd": 1e999', (200, 400)),
        (b'"latency_ms": -1e-999', (200, 400)),
        (b'"input_tokens": 1' + b"0" * 5_000, (200, 400)),
        (b'"context": {"n": 1' + b"0" * 5_000 + b"}", (200, 400)),
        (b'"agent": "\xff\xfe"', (200, 400)),
        (b'"agent": "\\ud800"', (200, 400)),
        (b'"agent": "\\u0000"', (200, 400)),
        (b'"context": {"a": ' + b"[" * 30_000 + b"]" * 30_000 + b"}", (200, 400)),
        (b'"context": {' + b",".join(b'"k%d": 1' % n for n in range(100_000)) + b"}", (200, 400)),
        (b'"agent": "' + b"x" * 2_000_000 + b'"', (200, 400)),
    ],
    ids=range(12),
)
def test_values_that_no_field_takes_cost_their_event_or_the_batch(
    door: RunningDoor, text: bytes, statuses: tuple[int, ...]
) -> None:
    answer = door.post("/v1/events", spliced(text), JSON)
    assert answer.status in statuses, answer.body[:300]
    if answer.status == 200:
        assert answer.json["accepted"] in (1, 2)
    lines = spliced(text)[1:-1].replace(b'},{"event_id"', b'}\n{"event_id"', 1)
    answer = door.post("/v1/events", lines, "application/x-ndjson")
    assert answer.status == 200, answer.body[:300]
    assert answer.json["accepted"] in (1, 2)


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field of protobuf; Python's own library does not build what is nested too deep."""
    size, digits = len(content), bytearray()
    while size > 127:
        digits.append(size & 127 | 128)
        size >>= 7
    return bytes([number << 3 | 2, *digits, size]) + content


def deep_request(depth: int) -> bytes:
    """One span with an attribute of so many levels."""
    value = field(1, b"end")
    for _ in range(depth):
        value = field(6, field(1, field(1, b"k") + field(2, value)))
    span = otlp.span(number=1).SerializeToString() + field(9, field(1, b"deep") + field(2, value))
    return field(1, field(2, field(2, span)))


def test_spans_of_monstrous_attributes_are_refused_one_by_one_by_both_protocols(door: RunningDoor) -> None:
    crowd = otlp.span(*(attribute(f"k{number}", "value") for number in range(100_000)), number=2)
    numbers = otlp.span(number=3)
    for number in (float("nan"), float("inf"), -float("inf"), 5e-324):
        numbers.attributes.add(key=f"n{number}").value.double_value = number
    for depth in (20, 50, 5_000):
        answer = door.post("/v1/traces", deep_request(depth), PROTOBUF)
        assert answer.status in (200, 400), answer.body[:300]
    request = otlp.traces(crowd, numbers, otlp.span(number=4)).SerializeToString()
    answer = door.post("/v1/traces", gzip.compress(request), PROTOBUF, headers={"Content-Encoding": "gzip"})
    assert ExportTraceServiceResponse.FromString(answer.body).partial_success.rejected_spans == 1
    with grpc.insecure_channel(f"127.0.0.1:{door.grpc_port}", compression=grpc.Compression.Gzip) as channel:
        export: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        )
        for content, allowed in (
            (otlp.traces(numbers, crowd).SerializeToString(), {grpc.StatusCode.OK}),
            (deep_request(5_000), {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT}),
            # A bomb: 60 kB on the wire.
            (b"\0" * 60_000_000, {grpc.StatusCode.RESOURCE_EXHAUSTED}),
            (b"\x0a\x04\x12\x02\xff\xff", {grpc.StatusCode.INVALID_ARGUMENT}),
        ):
            metadata = tuple((name.lower(), value) for name, value in door.signing(content).items())
            try:
                export(content, metadata=metadata, timeout=30)
                code = grpc.StatusCode.OK
            except grpc.RpcError as error:
                code = error.code()
            assert code in allowed, (content[:20], code)


def test_numbers_that_are_none_and_text_that_is_none_in_otlp(door: RunningDoor) -> None:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="m")
    for number in (float("nan"), float("inf")):
        metric.gauge.data_points.add(as_double=number)
    assert door.post("/v1/metrics", request.SerializeToString(), PROTOBUF).status == 200
    wire = otlp.traces(otlp.span(attribute("note", "zzzz"), number=5)).SerializeToString()
    assert door.post("/v1/traces", wire.replace(b"zzzz", b"\xff\xfe\xff\xfe"), PROTOBUF).status == 400
    point = {"gauge": {"dataPoints": [{"asDouble": "NaN"}, {"asDouble": 1e308, "timeUnixNano": "9" * 400}]}}
    body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m", **point}]}]}]}
    assert door.post("/v1/metrics", json.dumps(body).encode()).status == 400


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("HEAD", "/v1/events", {}, 405),
        ("OPTIONS", "/v1/traces", {"Origin": "https://example.org"}, 405),
        ("PUT", "/v1/logs", {}, 405),
        ("TRACE", "/v1/events", {}, 405),
        ("GET", "/v1/../../../../etc/passwd", {}, 404),
        ("GET", "/v1/%2e%2e/%2e%2e/door/keys.json", {}, 404),
        ("GET", "//v1/events", {}, 404),
        ("GET", "/healthz/../keys.json", {}, 404),
        ("POST", "/v1/events", {"Content-Type": "application/xml"}, 415),
        ("POST", "/v1/events", {"Content-Type": PROTOBUF}, 415),
        ("POST", "/v1/traces", {"Content-Type": "text/plain"}, 415),
        ("POST", "/v1/traces", {}, 415),
        ("POST", "/v1/events", {"Content-Type": JSON, "Content-Encoding": "br"}, 415),
        ("POST", "/v1/events", {"Content-Type": JSON, "Content-Encoding": "gzip"}, 400),
        ("POST", "/v1/events", {"Content-Type": JSON, "X-Meterhouse-Timestamp": "9" * 400}, 401),
        ("POST", "/v1/events", {"Content-Type": JSON, "X-Meterhouse-Key": "../keys"}, 401),
        ("POST", "/v1/events", {"Content-Type": JSON, "Authorization": f"Bearer {'.' * 3_000}"}, 401),
    ],
    ids=range(17),
)
def test_ways_that_lead_nowhere_are_said_to(
    door: RunningDoor, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    signing = {} if "Authorization" in headers else door.signing(b"[]")
    answer = door.request(method, path, b"[]", {**signing, **headers})
    assert answer.status == status, answer.body[:300]
    assert b"secret" not in answer.body


def test_heads_that_contradict_themselves_are_refused(door: RunningDoor) -> None:
    for head in (
        b"Content-Length: 2\r\nTransfer-Encoding: chunked",
        b"Content-Length: 2\r\nContent-Length: 3",
        b"Content-Length: -1",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n[]",
    ):
        with socket.create_connection(("127.0.0.1", door.port), timeout=20) as client:
            client.sendall(b"POST /v1/events HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n[]")
            said = client.recv(200)
            # An answer, or the end of the connection.
            assert not said or said.split(b" ")[1] in (b"400", b"401"), said


def test_clients_that_dribble_are_hung_up_on_and_keep_nobody_out(door: RunningDoor) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", door.port), timeout=20)) for _ in range(100)]
        for number, client in enumerate(slow):
            head = b"POST /v1/events HTTP/1.1\r\nHost: x\r\n"
            client.sendall(head if number % 2 else head + b"Content-Length: 100\r\n\r\n[")
        assert door.post("/v1/events", json.dumps([event()]).encode()).status == 200
        for client in slow:
            # An answer (408, 401) or nothing, and then the end.
            while client.recv(4_096):
                pass
