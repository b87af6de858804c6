"""/metrics, /healthz and /readyz of one process, served from a daemon thread.

In: where to listen, the metrics, a probe that tells how the process is (called on each request, from another thread;
must not block). Out: JSON with reasons, 200 or 503. A port that is taken is a MeterhouseError with one sentence.
"""

import http.server
import json
import socket
import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import structlog

from ingest.errors import MeterhouseError
from ingest.loader.metrics import CONTENT_TYPE, Metrics

log = structlog.get_logger()

# A scraper that says nothing is dropped; so many may be served at once, the next ones are hung up on.
_REQUEST_TIMEOUT_S: Final = 5.0
_MOST_REQUESTS: Final = 16


@dataclass(frozen=True)
class Health:
    """How a process is. Alive: worth keeping running. Ready: doing its work. `reasons` say why not; no identifiers."""

    is_alive: bool
    is_ready: bool
    reasons: tuple[str, ...]


class HealthServer:
    """Listens from construction until `close`. `port` is the one in use, also where 0 was asked for."""

    def __init__(self, host: str, port: int, metrics: Metrics, probe: Callable[[], Health]) -> None:
        try:
            self._server = _Server(host, port, metrics, probe)
        except (OSError, OverflowError) as error:
            words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise MeterhouseError(
                f"Cannot listen on {host}:{port} for /metrics and /healthz ({words}): another process may have the "
                "port; set METERHOUSE_METRICS_PORT to a free one (0 takes any) or METERHOUSE_METRICS_HOST."
            ) from error
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.2,), name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops listening; the port is free when it returns. More than once is fine."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_REQUEST_TIMEOUT_S)


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    # Not http.server's: that looks its own name up in DNS at the start, which can hang for many seconds.
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 16

    def __init__(self, host: str, port: int, metrics: Metrics, probe: Callable[[], Health]) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.metrics, self.probe = metrics, probe
        self._slots = threading.BoundedSemaphore(_MOST_REQUESTS)
        super().__init__((host, port), _Handler)

    def process_request(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: tuple[str, int] | str
    ) -> None:
        if self._slots.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: tuple[str, int] | str
    ) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: tuple[str, int] | str
    ) -> None:
        """A scraper that went away is no news."""


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = _REQUEST_TIMEOUT_S
    server_version = "meterhouse"
    sys_version = ""
    server: _Server

    def do_GET(self) -> None:  # the name http.server calls
        path = self.path.partition("?")[0].rstrip("/")
        if path == "/metrics":
            self._answer(HTTPStatus.OK, CONTENT_TYPE, self.server.metrics.render())
        elif path == "/healthz":
            health = self._probed()
            self._say(health.is_alive, "alive" if health.is_alive else "not alive", health.reasons)
        elif path == "/readyz":
            health = self._probed()
            is_ready = health.is_alive and health.is_ready
            self._say(is_ready, "ready" if is_ready else "not ready", health.reasons)
        else:
            body = {"status": "not found", "reasons": ["here are /metrics, /healthz and /readyz"]}
            self._answer(HTTPStatus.NOT_FOUND, "application/json", json.dumps(body).encode())

    do_HEAD = do_GET  # noqa: N815

    def _probed(self) -> Health:
        try:
            return self.server.probe()
        except Exception as error:  # noqa: BLE001  # a probe that breaks is itself the finding
            log.warning("health_probe_failed", error=type(error).__name__)
            return Health(is_alive=False, is_ready=False, reasons=(f"the probe failed with {type(error).__name__}",))

    def _say(self, is_well: bool, status: str, reasons: tuple[str, ...]) -> None:
        body = json.dumps({"status": status, "reasons": list(reasons)}).encode()
        self._answer(HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE, "application/json", body)

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
        """Scrapes are not logged."""
