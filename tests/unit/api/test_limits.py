"""Bodies that are too large, too slow or bombs; rates; the room; OTLP's JSON; the metrics' closed registry."""

import asyncio
import contextlib
import gzip
import json
import zlib
from collections.abc import AsyncIterator

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.api.bodies import read_body, unpack
from ingest.api.credential import Credential
from ingest.api.limiting import Rates, Room, network_of
from ingest.api.otlp import Taken
from ingest.api.otlp_answers import response_bytes, status_details
from ingest.api.otlp_json import to_wire
from ingest.api.refusal import Refusal
from tests.support import otlp


class Free:
    """A budget without end."""

    def take(self, size: int) -> None:
        """Anything."""


@pytest.mark.parametrize(
    ("name", "pack"), [("gzip", gzip.compress), ("zstd", zstd.compress), ("deflate", zlib.compress)]
)
def test_a_bomb_costs_the_limit_and_a_good_body_comes_back(name: str, pack: object) -> None:
    assert callable(pack)
    assert unpack(pack(b"x" * 3_000_000), name, Free(), limit=4_000_000) == b"x" * 3_000_000
    with pytest.raises(Refusal) as caught:
        unpack(pack(b"\0" * 50_000_000), name, Free(), limit=1_000_000)
    assert caught.value.status == 413
    for broken in (b"", b"x", pack(b"words")[:-3], pack(b"words") + b"\xff"):
        with pytest.raises(Refusal) as caught:
            unpack(broken, name, Free(), limit=1000)
        assert caught.value.status == 400


def test_what_bodies_hold_is_bounded_over_all_requests_and_given_back() -> None:
    room = Room(requests=2, body_bytes=1000)
    with room.enter() as first, room.enter() as second:
        first.take(600)
        with pytest.raises(Refusal) as caught:
            second.take(600)
        assert (caught.value.status, caught.value.retry_after) == (503, "1")
        with pytest.raises(Refusal):
            room.enter()
    assert (room.requests, room.bytes) == (0, 0)


def test_a_slow_body_and_a_long_one_are_given_up() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 100

    async def silent() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    for pieces, status in ((endless(), 413), (silent(), 408)):
        with pytest.raises(Refusal) as caught:
            asyncio.run(read_body(pieces, Free(), limit=10_000, within_s=0.05))
        assert caught.value.status == status


def test_a_key_and_an_address_have_rates_of_their_own() -> None:
    rates = Rates(key_events_per_s=10, address_requests_per_s=0.3)
    slow, fast = Credential("slow", "a"), Credential("fast", "a", events_per_s=1000)
    rates.admit_events(slow, 100)
    with pytest.raises(Refusal) as caught:
        rates.admit_events(slow, 1)
    assert caught.value.status == 429
    assert int(caught.value.retry_after or "0") >= 1
    rates.admit_events(fast, 1000)
    for _ in range(3):
        rates.admit_address("2001:db8::1")
    with pytest.raises(Refusal):
        rates.admit_address("2001:db8::ffff")
    rates.admit_address("192.0.2.7")


def test_addresses_are_counted_by_network() -> None:
    assert network_of("::ffff:192.0.2.7") == network_of("192.0.2.7") == "192.0.2.7"
    assert network_of("testclient") == network_of(None) == "unknown"


@given(otlp.trace_requests)
@settings(deadline=None, max_examples=60)
def test_json_of_otlp_becomes_the_same_protobuf(request: ExportTraceServiceRequest) -> None:
    from google.protobuf.json_format import MessageToDict

    as_json = MessageToDict(request, use_integers_for_enums=True)
    for group in as_json.get("resourceSpans", []):
        for scope in group.get("scopeSpans", []):
            for span, source in zip(
                scope.get("spans", []), request.resource_spans[0].scope_spans[0].spans, strict=True
            ):
                span |= {"traceId": source.trace_id.hex(), "spanId": source.span_id.hex(), "unknownName": [1]}
                for link, link_source in zip(span.get("links", []), source.links, strict=True):
                    link["traceId"] = link_source.trace_id.hex()
    wire = to_wire("traces", json.dumps(as_json).encode(), depth=32)
    assert str(ExportTraceServiceRequest.FromString(wire)) == str(request)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"5", b"{", b"\xff", b'{"resourceSpans": 5}', b'{"resourceSpans": [[]]}', b"[" * 90_000,
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"zz"}]}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":-1}]}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":1e400}]}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"\\ud800"}]}]}]}',
        b'{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":' + b'{"arrayValue":{"values":[' * 60
        + b"]}}" * 60 + b"}]}}]}",
        b'{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":{"bytesValue":"?"}}]}}]}',
    ],
)  # fmt: skip
def test_json_that_is_no_otlp_is_refused(body: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        to_wire("traces", body, depth=32)
    assert caught.value.status == 400


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_body_sent_as_otlp_json_is_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(Refusal):
        ExportLogsServiceRequest.FromString(to_wire("logs", body, depth=32))


def test_answers_are_the_messages_that_the_specification_names() -> None:
    from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
    from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    read = ExportTraceServiceResponse.FromString(response_bytes(Taken(5, 300, "why")))
    assert (read.partial_success.rejected_spans, read.partial_success.error_message) == (300, "why")
    assert response_bytes(Taken(5)) == b""
    status = Status.FromString(status_details(Refusal(503, "x", "full", retry_after_s=2.5), 14))
    assert (status.code, status.message) == (14, "full")
    retry = RetryInfo()
    assert status.details[0].Unpack(retry)
    assert retry.retry_delay.seconds == 3
