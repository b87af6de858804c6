"""An answer on its way: ClickHouse's headers, compressions, and errors before and after the first byte."""

import asyncio
import json
import random
import socket
import string
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import Executor
from dataclasses import asdict
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from ingest.embedded.clickhouse.blocks import BlockWriter
from ingest.embedded.clickhouse.bodies import Deflater, accepted, deflater
from ingest.embedded.clickhouse.engine import Summary
from ingest.embedded.clickhouse.errors import ClickHouseError
from ingest.embedded.clickhouse.request import Request
from ingest.embedded.clickhouse.wire import Wire

_HOST = socket.gethostname()
_KEEP_ALIVE_S = 30
# Below it a switch of threads costs more than the work.
_INLINE_BYTES = 32 << 10
_EXPOSED = (
    "X-ClickHouse-Query-Id,X-ClickHouse-Summary,X-ClickHouse-Server-Display-Name,X-ClickHouse-Format,"
    "X-ClickHouse-Timezone,X-ClickHouse-Exception-Code,X-ClickHouse-Exception-Tag"
)
# What ClickHouse's own config.xml answers a browser that asks whether it may.
PREFLIGHT = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-headers",
     b"origin, x-requested-with, x-clickhouse-format, x-clickhouse-user, x-clickhouse-key, Authorization"),
    (b"access-control-allow-methods", b"POST, GET, OPTIONS"),
    (b"access-control-max-age", b"86400"),
    (b"connection", b"close"),
]  # fmt: skip

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Answer:
    """One answer: `whole`, or `part`s and `end`; `fail` at any time; `tick` while nothing has been sent."""

    def __init__(
        self, send: Send, wire: Wire | None, *, threads: Executor, timezone: str, content_types: Mapping[str, str]
    ) -> None:
        self._send, self._wire, self._threads = send, wire, threads
        self._timezone, self._content_types = timezone, content_types
        self._request: Request | None = None
        self._stages: list[Deflater] | None = None
        self._rewrite: Deflater | None = None
        self._tag = "".join(random.choices(string.ascii_lowercase, k=16))  # noqa: S311  # told apart, not secret
        self._is_started = False
        # The latest of the query; an engine's thread replaces it while the query runs.
        self.summary = Summary()
        self.format = "TabSeparated"
        # Errors are compressed like results once the query itself is what fails, as on a server.
        self.compresses_errors = False

    @property
    def is_begun(self) -> bool:
        """Whether body bytes are out."""
        return self._is_started

    def use(self, request: Request) -> None:
        """The request this answers, as soon as it is known."""
        self._request = request

    def rewrite(self, stage: Deflater) -> None:
        """Passes every part of the result, but no exception, through this first."""
        self._rewrite = stage

    def tick(self) -> None:
        """Tells how far the query is, in a header of its own; only before the body."""
        if self._wire is not None and not self._is_started:
            told = {name: str(value) for name, value in asdict(self.summary).items() if value}
            self._wire.line(b"X-ClickHouse-Progress", json.dumps(told, separators=(",", ":")).encode())

    async def plain(self, status: int, body: bytes, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        """What is no answer to a query."""
        sent = [(b"content-type", b"text/html; charset=UTF-8"), *self._common(), *(headers or [])]
        if status != 204:
            sent.append((b"content-length", str(len(body)).encode()))
        await self._start(status, sent)
        await self._send({"type": "http.response.body", "body": body})

    async def whole(self, status: int, body: bytes, *, answer_format: str = "", has_result: bool = True) -> None:
        """Everything at once; without a result no format is named, by which clients tell a command from a query."""
        headers = self._headers(answer_format or self.format)
        if not has_result:
            headers = [header for header in headers if header[0] != b"x-clickhouse-format"]
        if self._rewrite is not None:
            body = await self._offload(partial(_through, [self._rewrite], body), len(body))
        if body:
            headers += self._compress()
            body = await self._offload(partial(_through, self._stages or [], body), len(body))
        headers.append((b"content-length", str(len(body)).encode()))
        await self._start(status, headers)
        await self._send({"type": "http.response.body", "body": body})

    async def part(self, body: bytes) -> None:
        """More of a long answer; the first also sends the headers."""
        if not self._is_started:
            headers = self._headers(self.format) + self._compress()
            await self._start(200, headers)
        if self._rewrite is not None:
            body = await self._offload(partial(self._rewrite.compress, body), len(body))
        await self._pass(body)

    async def end(self) -> None:
        """The end of a long answer."""
        if self._rewrite is not None:
            await self._pass(self._rewrite.flush())
        await self._send({"type": "http.response.body", "body": self._flush()})

    async def fail(self, error: ClickHouseError) -> None:
        """An error: with its status before the first byte, between ClickHouse's exception marks after it."""
        message = error.body.encode() + b"\n"
        code = (b"x-clickhouse-exception-code", str(error.code).encode())
        is_open = self._wire is not None and self._wire.is_begun
        if is_open and not self._is_started:
            # The status went out with the progress; the code can still be told in a header, and the body is the error.
            await self._start(200, [*self._headers("TabSeparated"), code, *self._compress()])
            await self._pass(message)
            await self._send({"type": "http.response.body", "body": self._flush()})
            return
        if self._is_started:
            if self._rewrite is not None:
                await self._pass(self._rewrite.flush())
            await self._pass(self._marked(message))
            await self._send({"type": "http.response.body", "body": self._flush(), "more_body": self._wire is not None})
            if self._wire is not None:
                self._wire.cut()
            return
        headers = [*self._headers("TabSeparated"), code]
        if error.code == 194:
            headers.append((b"www-authenticate", b'Basic realm="ClickHouse server HTTP API"'))
        if self.compresses_errors:
            headers += self._compress()
            message = _through(self._stages or [], message)
        headers.append((b"content-length", str(len(message)).encode()))
        await self._start(error.status, headers)
        await self._send({"type": "http.response.body", "body": message})

    def _marked(self, message: bytes) -> bytes:
        tag, size = self._tag.encode(), str(len(message)).encode()
        return b"\r\n__exception__\r\n" + tag + b"\r\n" + message + size + b" " + tag + b"\r\n__exception__\r\n"

    async def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._is_started = True
        if self._wire is not None and self._wire.is_begun:
            self._wire.finish([header for header in headers if header[0] != b"content-length"])
        else:
            await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def _pass(self, body: bytes) -> None:
        for stage in self._stages or []:
            body = await self._offload(partial(stage.compress, body), len(body))
        if body:
            await self._send({"type": "http.response.body", "body": body, "more_body": True})

    def _flush(self) -> bytes:
        rest = b""
        for stage in self._stages or []:
            rest = (stage.compress(rest) if rest else b"") + stage.flush()
        return rest

    async def _offload(self, work: Callable[[], bytes], size: int) -> bytes:
        if size <= _INLINE_BYTES:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _compress(self) -> list[tuple[bytes, bytes]]:
        """Sets the compressions up; the header that tells of them."""
        self._stages = []
        request = self._request
        if request is None:
            return []
        if request.has_native_compression:
            self._stages.append(BlockWriter(request.native_method, request.native_zstd_level))
        encoding = accepted(request.headers.get("accept-encoding", "")) if request.is_compression_enabled else ""
        if not encoding:
            return []
        self._stages.append(deflater(encoding, request.compression_level))
        return [(b"content-encoding", encoding.encode())]

    def _headers(self, answer_format: str) -> list[tuple[bytes, bytes]]:
        summary = {name: str(value) for name, value in asdict(self.summary).items()}
        content_type = self._content_types.get(answer_format.lower(), "text/plain; charset=UTF-8")
        query_id, settings = ("", {}) if self._request is None else (self._request.query_id, self._request.settings)
        timezone = "".join(filter(str.isprintable, settings.get("session_timezone", ""))) or self._timezone
        headers = [
            (b"content-type", content_type.encode()),
            *self._common(),
            (b"x-clickhouse-query-id", query_id.encode("latin-1", "replace")),
            (b"x-clickhouse-format", answer_format.encode()),
            (b"x-clickhouse-timezone", timezone.encode("latin-1", "replace")),
            (b"x-clickhouse-exception-tag", self._tag.encode()),
            (b"x-clickhouse-summary", json.dumps(summary, separators=(",", ":")).encode()),
        ]
        own = {} if self._request is None else self._request.response_headers
        given = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in own.items()]
        names = {name for name, _ in given}
        return [header for header in headers if header[0] not in names] + given

    def _common(self) -> list[tuple[bytes, bytes]]:
        headers = [
            (b"x-clickhouse-server-display-name", _HOST.encode()),
            (b"access-control-expose-headers", _EXPOSED.encode()),
            # uvicorn waits a little longer, so that a client lets go first.
            (b"keep-alive", f"timeout={_KEEP_ALIVE_S}".encode()),
        ]
        request = self._request
        if request is not None and request.allows_any_origin and _is_local(request.headers.get("origin", "")):
            headers.append((b"access-control-allow-origin", request.headers["origin"].encode("latin-1", "replace")))
        return headers


def _is_local(origin: str) -> bool:
    """Pages of this host may read answers; any page of the web could otherwise read data behind no password."""
    return urlsplit(origin).hostname in ("localhost", "127.0.0.1", "::1")


def _through(stages: list[Deflater], body: bytes) -> bytes:
    for stage in stages:
        body = stage.compress(body) + stage.flush()
    return body
