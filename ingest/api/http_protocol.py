"""uvicorn's HTTP protocol with the bounds it lacks: a slow head, an endless head, too many connections.

In: a connection. Out: uvicorn's own behaviour, except that a request whose head (request line and headers) is not
complete in time or within 64 KiB is answered 408 or 431 and hung up on, as is a connection beyond the most allowed
(503). Bodies have their own deadline, in bodies.py.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_MOST_HEAD_BYTES: Final = 65_536


class BoundedProtocol(HttpToolsProtocol):
    """A connection; `limits` is set by `bounded_protocol`."""

    limits: "Limits"
    _head_bytes = 0
    _is_in_head = True
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.limits.connections.add(self)
        if len(self.limits.connections) > self.limits.most_connections:
            self._hang_up(b"503 Service Unavailable", b"retry-after: 1\r\n")
            return
        self._head_timer = self.loop.call_later(self.limits.head_timeout_s, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self.limits.connections.discard(self)
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._is_in_head:
            if self._head_timer is None:
                self._head_timer = self.loop.call_later(self.limits.head_timeout_s, self._too_slow)
            self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head and self._head_bytes > _MOST_HEAD_BYTES:
            self._hang_up(b"431 Request Header Fields Too Large")

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._head_bytes = 0
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._is_in_head = True
        super().on_message_complete()

    def _too_slow(self) -> None:
        self._head_timer = None
        self._hang_up(b"408 Request Timeout")

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _hang_up(self, status: bytes, headers: bytes = b"") -> None:
        self._stop_timer()
        if not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 " + status + b"\r\n" + headers + b"content-length: 0\r\nconnection: close\r\n\r\n"
            )
            self.transport.close()


@dataclass(frozen=True)
class Limits:
    """Of one server. `connections`: those that are open, kept up to date."""

    head_timeout_s: float
    most_connections: int
    connections: "set[object]"


def bounded_protocol(limits: Limits) -> type[asyncio.Protocol]:
    """The protocol's class for uvicorn's Config."""
    return type("LimitedProtocol", (BoundedProtocol,), {"limits": limits})
