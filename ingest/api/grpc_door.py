"""OTLP over gRPC: the three Export services, on the event loop of the HTTP server.

In: requests as bytes, credentials as metadata. Out: Export*ServiceResponse, or a gRPC status whose details hold
google.rpc.Status with RetryInfo where sending again makes sense. A signature is over the message as gRPC hands it over:
the protobuf bytes, decompressed.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import unquote

import grpc
import grpc.aio
import structlog

from ingest.api.door import Door
from ingest.api.entrance import Knock
from ingest.api.metrics import Metric
from ingest.api.otlp import Taken, take_export
from ingest.api.otlp_answers import response_bytes, status_details
from ingest.api.refusal import Refusal, overloaded
from ingest.errors import MeterhouseError
from ingest.signals import SIGNALS, Signal

log = structlog.get_logger()

Handler = Callable[[bytes, "grpc.aio.ServicerContext[bytes, bytes]"], Awaitable[bytes]]
_SERVICES: Final[dict[Signal, str]] = {
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
}
_DETAILS_KEY: Final = "grpc-status-details-bin"
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


def make_server(door: Door) -> tuple[grpc.aio.Server, int]:
    """A server that listens but does not answer yet, and its port. Raises MeterhouseError where the port is taken."""
    settings = door.settings
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", settings.api_max_unpacked_bytes),
            ("grpc.max_metadata_size", 32_768),
            ("grpc.max_concurrent_streams", 100),
            ("grpc.max_connection_idle_ms", 300_000),
            ("grpc.so_reuseport", 0),
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ],
        # Our own bound says when to come back; this one, which cannot, is for what gets past it.
        maximum_concurrent_rpcs=settings.api_max_requests * 4,
    )
    for signal in SIGNALS:
        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(_handler(door, signal))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICES[signal], {"Export": handler}),))
    host = f"[{settings.api_host}]" if ":" in settings.api_host else settings.api_host
    address = f"{host}:{settings.api_grpc_port}"
    try:
        if settings.api_tls_certificate is None or settings.api_tls_key is None:
            port = server.add_insecure_port(address)
        else:
            pair = (settings.api_tls_key.read_bytes(), settings.api_tls_certificate.read_bytes())
            port = server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
    except (RuntimeError, OSError) as error:
        raise MeterhouseError(
            f"Cannot listen on {address} for gRPC ({type(error).__name__}): another process, such as a Collector, may "
            "have the port; set METERHOUSE_API_GRPC_PORT to a free one (0 takes any), or METERHOUSE_API_GRPC=false."
        ) from error
    return server, port


def _handler(door: Door, signal: Signal) -> Handler:
    way = f"grpc_{signal}"

    async def export(request: bytes, context: "grpc.aio.ServicerContext[bytes, bytes]") -> bytes:
        started = time.perf_counter()
        status = 200
        try:
            return response_bytes(await _take(door, signal, request, context))
        except Refusal as refusal:
            status = refusal.status
            door.metrics.count(Metric.REFUSALS, 1, way, refusal.code)
            await _abort(context, refusal)
        except Exception as error:  # noqa: BLE001  # a defect of ours: the client learns that, the process goes on
            status = 500
            log.error("front_door_defect", way=way, error=type(error).__name__)
            await _abort(context, Refusal(500, "defect", "This server has a defect; the request was not taken."))
        finally:
            door.metrics.count(Metric.REQUESTS, 1, way, str(status))
            door.metrics.observe(Metric.REQUEST_SECONDS, time.perf_counter() - started, way)
        raise AssertionError("abort raises")

    return export


async def _take(door: Door, signal: Signal, request: bytes, context: "grpc.aio.ServicerContext[bytes, bytes]") -> Taken:
    if door.is_stopping:
        raise overloaded("stopping", "This server is stopping; another takes its place.", 2.0)
    headers = {name: value for name, value in context.invocation_metadata() or () if isinstance(value, str)}
    knock: Knock | None = None
    try:
        with door.room.enter() as stay:
            stay.take(len(request))
            knock = await door.entrance.knock(headers, peer_address(context.peer()))
            door.metrics.count(Metric.BODY_BYTES, len(request), f"grpc_{signal}")
            credential = door.entrance.admit(knock, request)
            return await take_export(door, credential, signal, request)
    except BaseException:
        if knock is not None:
            door.entrance.give_back(knock)
        raise


def peer_address(peer: str) -> str | None:
    """The address of `ipv4:127.0.0.1:4711` or `ipv6:%5B::1%5D:4711`."""
    kind, _, rest = unquote(peer).partition(":")
    return rest.rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else None


async def _abort(context: "grpc.aio.ServicerContext[bytes, bytes]", refusal: Refusal) -> None:
    """Never returns. OTLP's clients send again after UNAVAILABLE, and after RESOURCE_EXHAUSTED with RetryInfo."""
    code = _CODES[refusal.rpc_code]
    await context.abort(code, refusal.sentence, ((_DETAILS_KEY, status_details(refusal, refusal.rpc_code)),))
