"""Runs the front door: HTTP by uvicorn and gRPC by grpcio on one event loop, until SIGTERM or SIGINT.

In: Settings. Out: returns when all that was acknowledged or promised is settled. A port that is taken, a broken key
file or a Kafka that rejects us is a MeterhouseError; a Kafka that is away is not: /readyz says so, requests get 503.
Stopping: new requests get 503, those in work finish, the producer flushes, all within the drain deadline.
"""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator

import grpc.aio
import structlog
import uvicorn

from ingest.api.app import make_app
from ingest.api.door import Door, open_door
from ingest.api.grpc_door import make_server
from ingest.api.http_protocol import Limits, bounded_protocol
from ingest.api.producing import ensure_topics
from ingest.errors import MeterhouseError, SettingsError, WorkAbandonedError
from ingest.kafka_errors import KafkaProblem, KafkaUnavailableError
from ingest.settings import Settings

log = structlog.get_logger()
Say = Callable[[str], None]
# Load balancers look every second or so: they should have seen /readyz before connections are refused.
_SHOWN_STOPPING_S = 0.2


def run(settings: Settings, say: Say) -> None:
    """Blocks until stopped. Raises MeterhouseError; WorkAbandonedError where messages were left unacknowledged."""
    import uvloop

    _check_tls(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, say))


def _check_tls(settings: Settings) -> None:
    files = {
        "METERHOUSE_API_TLS_CERTIFICATE": settings.api_tls_certificate,
        "METERHOUSE_API_TLS_KEY": settings.api_tls_key,
    }
    if not any(files.values()):
        return
    for name, file in files.items():
        if file is None:
            raise SettingsError(f"{name} is not set, but the other half is: set both, or neither.")
        if not file.is_file():
            raise SettingsError(f"{name} is {file}, where there is no file. Name a PEM file.")


async def _serve(settings: Settings, say: Say) -> None:
    door = open_door(settings)
    await _first_look(door)
    listener = _listen(settings.api_host, settings.api_port)
    server = _server(door)
    grpc_server, grpc_port = make_server(door) if settings.api_grpc else (None, 0)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    watching = asyncio.create_task(door.watch())
    serving = asyncio.create_task(_http(server, listener))
    scheme = "https" if settings.api_tls_certificate else "http"
    say(f"listening on {scheme}://{settings.api_host}:{listener.getsockname()[1]}")
    if grpc_server is not None:
        await grpc_server.start()
        say(f"OTLP over gRPC on {settings.api_host}:{grpc_port}")
    if not door.entrance.keyring.file.keys and not door.entrance.tokens.are_set_up:
        say("no key can get in yet: make one with `meterhouse keys make WORKSPACE`")
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    door.is_stopping = True
    await asyncio.sleep(_SHOWN_STOPPING_S)
    await _stop(door, server, serving, grpc_server)
    say("stopped: everything acknowledged is in Kafka")
    for task in (watching, stopping):
        task.cancel()


async def _first_look(door: Door) -> None:
    """Makes the topics. A Kafka that rejects us stops the start; one that is away is waited for while serving."""
    try:
        await asyncio.to_thread(ensure_topics, door.settings, door.producer.topics, 5.0)
        door.producer.is_answering = True
    except KafkaUnavailableError as error:
        if error.problem is not KafkaProblem.UNREACHABLE:
            raise
        log.warning("front_door_kafka_away", detail=error.seen)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise MeterhouseError(
            f"Cannot listen on {host}:{port} ({getattr(error, 'strerror', None) or error}): another process may have "
            "the port; set METERHOUSE_API_PORT to a free one (0 takes any) or METERHOUSE_API_HOST."
        ) from error
    listener.listen(2048)
    listener.setblocking(False)
    return listener


class _Server(uvicorn.Server):
    """uvicorn's, that leaves the signals to us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _server(door: Door) -> uvicorn.Server:
    settings = door.settings
    config = uvicorn.Config(
        make_app(door),
        http=bounded_protocol(Limits(settings.api_read_timeout_s, settings.api_max_connections, door.connections)),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=max(1, round(settings.api_drain_deadline_s)),
        proxy_headers=bool(settings.api_trusted_proxies),
        forwarded_allow_ips=settings.api_trusted_proxies.replace(" ", "") or None,
        ssl_certfile=settings.api_tls_certificate,
        ssl_keyfile=settings.api_tls_key,
    )
    return _Server(config)


async def _http(server: uvicorn.Server, listener: socket.socket) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await server.serve([listener])


async def _stop(
    door: Door, server: uvicorn.Server, serving: "asyncio.Task[None]", grpc_server: "grpc.aio.Server | None"
) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + door.settings.api_drain_deadline_s
    server.should_exit = True
    if grpc_server is not None:
        await grpc_server.stop(door.settings.api_drain_deadline_s)
    await asyncio.wait((serving,), timeout=max(0.5, deadline - loop.time()))
    left = await door.producer.close(max(0.5, deadline - loop.time()))
    if left:
        raise WorkAbandonedError(
            f"The front door stopped with {left} messages that Kafka had not acknowledged; their senders were told 503 "
            "and may send them again."
        )
