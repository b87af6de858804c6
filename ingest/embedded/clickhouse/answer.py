"""An answer on its way to the client: ClickHouse's headers, compression, and errors before and after the first byte."""

import json
import secrets
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ingest.embedded.clickhouse.bodies import Deflater, accepted, deflater
from ingest.embedded.clickhouse.engine import Summary
from ingest.embedded.clickhouse.errors import ClickHouseError
from ingest.embedded.clickhouse.request import Request

_HOST = socket.gethostname()
_CONTENT_TYPES = {
    "tabseparated": "text/tab-separated-values; charset=UTF-8",
    "tsv": "text/tab-separated-values; charset=UTF-8",
    "csv": "text/csv; charset=UTF-8; header=absent",
    "csvwithnames": "text/csv; charset=UTF-8; header=present",
    "json": "application/json; charset=UTF-8",
    "jsoncompact": "application/json; charset=UTF-8",
    "jsoneachrow": "application/x-ndjson; charset=UTF-8",
    "native": "application/octet-stream",
    "rowbinary": "application/octet-stream",
    "arrowstream": "application/octet-stream",
    "arrow": "application/octet-stream",
    "parquet": "application/octet-stream",
    "rowbinarywithnamesandtypes": "application/octet-stream",
}


class Answer:
    """One answer: `whole`, or `part`s and `end`; `fail` at any time."""

    def __init__(self, send: Callable[[MutableMapping[str, Any]], Awaitable[None]], timezone: str) -> None:
        self._send, self._timezone = send, timezone
        self._request: Request | None = None
        self._deflate: Deflater | None = None
        self._tag = secrets.token_hex(8)
        self.summary = Summary()
        self.format = "TabSeparated"
        self.is_begun = False

    def use(self, request: Request) -> None:
        """The request this answers, as soon as it is known."""
        self._request = request

    async def whole(self, status: int, body: bytes, *, answer_format: str = "", is_plain: bool = False) -> None:
        """Everything at once."""
        headers = [] if is_plain else self._headers(answer_format or self.format)
        if is_plain:
            headers.append((b"content-type", b"text/html; charset=UTF-8"))
        elif encoding := self._encoding():
            headers.append((b"content-encoding", encoding.encode()))
            deflate = deflater(encoding)
            body = deflate.compress(body) + deflate.flush()
        headers.append((b"content-length", str(len(body)).encode()))
        self.is_begun = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def part(self, body: bytes) -> None:
        """More of a long answer; the first also sends the headers."""
        if not self.is_begun:
            headers = self._headers(self.format)
            if encoding := self._encoding():
                headers.append((b"content-encoding", encoding.encode()))
                self._deflate = deflater(encoding)
            self.is_begun = True
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        piece = self._deflate.compress(body) if self._deflate is not None else body
        if piece:
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    async def end(self) -> None:
        """The end of a long answer."""
        rest = self._deflate.flush() if self._deflate is not None else b""
        await self._send({"type": "http.response.body", "body": rest})

    async def fail(self, error: ClickHouseError) -> None:
        """An error: with its status before the first byte, between ClickHouse's exception marks after it."""
        message = error.body.encode() + b"\n"
        if self.is_begun:
            size = str(len(message)).encode()
            tag = self._tag.encode()
            marked = b"\r\n__exception__\r\n" + tag + b"\r\n" + message + size + b" " + tag + b"\r\n__exception__\r\n"
            await self.part(marked)
            await self.end()
            return
        headers = self._headers("TabSeparated")
        headers.append((b"x-clickhouse-exception-code", str(error.code).encode()))
        if error.code in (194, 516):
            headers.append((b"www-authenticate", b'Basic realm="ClickHouse server HTTP API"'))
        headers.append((b"content-length", str(len(message)).encode()))
        self.is_begun = True
        await self._send({"type": "http.response.start", "status": error.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": message})

    def _encoding(self) -> str:
        if self._request is None or not self._request.is_compression_enabled:
            return ""
        return accepted(self._request.headers.get("accept-encoding", ""))

    def _headers(self, answer_format: str) -> list[tuple[bytes, bytes]]:
        summary = {
            "read_rows": str(self.summary.read_rows),
            "read_bytes": str(self.summary.read_bytes),
            "written_rows": str(self.summary.written_rows),
            "written_bytes": str(self.summary.written_bytes),
            "total_rows_to_read": "0",
            "result_rows": "0",
            "result_bytes": "0",
            "elapsed_ns": str(self.summary.elapsed_ns),
        }
        content_type = _CONTENT_TYPES.get(answer_format.lower(), "text/plain; charset=UTF-8")
        query_id = self._request.query_id if self._request is not None else ""
        return [
            (b"x-clickhouse-server-display-name", _HOST.encode()),
            (b"content-type", content_type.encode()),
            (b"x-clickhouse-query-id", query_id.encode("latin-1", "replace").replace(b"\r", b"").replace(b"\n", b"")),
            (b"x-clickhouse-format", answer_format.encode()),
            (b"x-clickhouse-timezone", self._timezone.encode()),
            (b"x-clickhouse-exception-tag", self._tag.encode()),
            (b"x-clickhouse-summary", json.dumps(summary, separators=(",", ":")).encode()),
        ]
