"""A faulty HTTP proxy in front of the engine: what a network, a load balancer and an overloaded server do to a loader.

Threads of its own; the mode may change at any moment and counts for the requests that begin after it. Each request
meets the fault with `share` probability, drawn from the seed, so that some get through and the loader goes on.
"""

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable
from typing import Literal

from tests.chaos.http_wire import Closed, Request, read_request, read_response

Stage = Literal["before", "after"]
Mode = Literal["pass", "refuse", "hang", "reset", "drop_answer", "late"]
FAULTY_MODES: tuple[Mode, ...] = ("refuse", "hang", "reset", "drop_answer", "late")

_LATE_S = 4.0
"""Above the loader's request timeout in a round: the request arrives after its sender has given up and repeated it."""
_ERRORS = (
    (500, 241, "Code: 241. DB::Exception: (total) memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)"),
    (500, 252, "Code: 252. DB::Exception: Too many parts. (TOO_MANY_PARTS)"),
    (500, 159, "Code: 159. DB::Exception: Timeout exceeded. (TIMEOUT_EXCEEDED)"),
    (503, 0, "upstream connect error or disconnect/reset before headers"),
)


class FaultyProxy:
    """Listens on `port` of loopback and passes requests on to the engine's port, or does not."""

    def __init__(self, port: int, upstream_port: int, seed: int) -> None:
        self.port = port
        self._upstream = ("127.0.0.1", upstream_port)
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._mode: Mode = "pass"
        self._share = 1.0
        self._changed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self.faults = 0
        self.at_request: Callable[[Request, Stage], None] = lambda _request, _stage: None
        """Called when a request has come and its fault is drawn, and after the engine's answer before it goes back."""
        self._open = 0
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def set(self, mode: Mode, share: float = 1.0) -> None:
        """Requests that begin from now on meet `mode` with probability `share`; those that hang are let go."""
        with self._lock:
            self._mode, self._share = mode, share
            self._changed.set()
            self._changed = threading.Event()

    def close(self) -> None:
        self.set("pass")
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def wait_quiet(self, within_s: float = 30.0) -> None:
        """Returns when no request is on its way any more, late ones included."""
        deadline = time.monotonic() + within_s
        while self._open:
            if time.monotonic() > deadline:
                raise RuntimeError(f"expected no request on its way after {within_s:g} s, {self._open} are")
            time.sleep(0.02)

    def _count(self, change: int) -> None:
        with self._lock:
            self._open += change

    def _draw(self) -> tuple[Mode, threading.Event]:
        with self._lock:
            if self._mode == "pass" or self._random.random() >= self._share:
                return "pass", self._changed
            self.faults += 1
            return self._mode, self._changed

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), name="proxied", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError, Closed):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            reader = client.makefile("rb")
            upstream: socket.socket | None = None
            try:
                while True:
                    request = read_request(reader)
                    mode, changed = self._draw()
                    self._count(1)
                    try:
                        self.at_request(request, "before")
                        if mode == "pass":
                            upstream = upstream or socket.create_connection(self._upstream, timeout=120)
                            goes_on = self._pass(client, upstream, request)
                        else:
                            goes_on = self._fail(mode, changed, client, request)
                    finally:
                        self._count(-1)
                    if not goes_on:
                        return
            finally:
                if upstream is not None:
                    upstream.close()

    def _pass(self, client: socket.socket, upstream: socket.socket, request: Request) -> bool:
        upstream.sendall(request.head + request.body)
        with upstream.makefile("rb") as answers:
            answer, keeps_alive = read_response(answers, request.method)
        self.at_request(request, "after")
        client.sendall(answer)
        return keeps_alive

    def _fail(self, mode: Mode, changed: threading.Event, client: socket.socket, request: Request) -> bool:
        """Does what the mode says; whether the connection goes on."""
        if mode == "refuse":
            with self._lock:
                status, code, words = self._random.choice(_ERRORS)
            client.sendall(_error(status, code, words))
            return True
        if mode == "hang":
            changed.wait(30)
            return False
        if mode == "reset":
            with socket.create_connection(self._upstream, timeout=30) as cut:
                cut.sendall((request.head + request.body)[: len(request.head) + len(request.body) // 2])
            _reset(client)
            return False
        if mode == "late":
            time.sleep(_LATE_S)
        # The engine gets it whole and does it; nobody hears of it.
        with socket.create_connection(self._upstream, timeout=120) as alone:
            alone.sendall(request.head + request.body)
            with alone.makefile("rb") as answers:
                read_response(answers, request.method)
        _reset(client)
        return False


def _error(status: int, code: int, words: str) -> bytes:
    body = words.encode() + b"\n"
    named = f"X-ClickHouse-Exception-Code: {code}\r\n" if code else ""
    head = f"HTTP/1.1 {status} Error\r\n{named}Content-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode("ascii") + body


def _reset(connection: socket.socket) -> None:
    """Ends with RST instead of FIN, as a killed peer's kernel does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    connection.close()
