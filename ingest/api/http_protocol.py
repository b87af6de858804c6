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
_LINGER_S: Final = 5.0
"""A refusal may be answered before its body has come. Hanging up at once would reset the connection, and with it the
answer; so what still comes is thrown away for a while."""


class BoundedProtocol(HttpToolsProtocol):
    """A connection; `limits` is set by `bounded_protocol`."""

    limits: "Limits"
    _head_bytes = 0
    _is_in_head = True
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.limits.connections.add(self)
        if len(self.limits.connections) > self.limits.most_connections:
            self._hang_up(b"503 Service Unavailable", b"retry-after: 1\r\n")
            return
        self._timer = self.loop.call_later(self.limits.head_timeout_s, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self.limits.connections.discard(self)
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._is_in_head:
            if self._timer is None:
                self._timer = self.loop.call_later(self.limits.head_timeout_s, self._too_slow)
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
        self._stop_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._is_in_head and not self.transport.is_closing():
            self._stop_timer()
            self._timer = self.loop.call_later(_LINGER_S, self.transport.close)

    def _too_slow(self) -> None:
        self._timer = None
        self._hang_up(b"408 Request Timeout")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

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
