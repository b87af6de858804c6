"""What ASGI has no message for: header lines that go out while a query runs, and an answer that is cut off.

uvicorn's own protocol, whose requests carry a Wire in their scope. ClickHouse sends X-ClickHouse-Progress before the
headers are complete, and breaks the chunked encoding after an exception so that nobody takes a part for the whole.
"""

from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

NAME = "meterhouse.wire"


class Wire:
    """The connection of one request, below ASGI."""

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self.is_begun = False

    def line(self, name: bytes, value: bytes) -> None:
        """One header now; the first also sends status 200. More follow, then `finish`."""
        cycle = self._cycle
        if cycle.disconnected or cycle.transport.is_closing():
            return
        status = b"" if self.is_begun else b"HTTP/1.1 200 OK\r\n"
        self.is_begun = True
        cycle.waiting_for_100_continue = False
        cycle.transport.write(status + name + b": " + value + b"\r\n")

    def finish(self, headers: list[tuple[bytes, bytes]]) -> None:
        """The rest of the headers; a body in chunks follows by ASGI."""
        cycle = self._cycle
        lines = [name + b": " + value + b"\r\n" for name, value in headers]
        if not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        cycle.response_started = cycle.chunked_encoding = True
        if not (cycle.disconnected or cycle.transport.is_closing()):
            cycle.transport.write(b"".join(lines) + b"transfer-encoding: chunked\r\n\r\n")

    def cut(self) -> None:
        """Ends the connection after what was sent, without the end of the body."""
        self._cycle.disconnected = True
        self._cycle.transport.close()


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1."""

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: "ASGI3Application") -> None:
        cycle.scope["extensions"] = {NAME: {"wire": Wire(cycle)}}
        super()._start_asgi_task(cycle, app)
