"""HTTP/1.1 messages off a stream, whole and unchanged, for a proxy that has to know where they end.

Bodies by Content-Length, by chunks or by the end of the connection. A stream that ends within a message raises Closed.
"""

import re
from dataclasses import dataclass
from typing import IO
from urllib.parse import unquote_plus

_MOST_HEAD = 1 << 20


class Closed(Exception):  # noqa: N818  # a state of the peer, not an error of ours
    """The peer went away."""


_INSERT = re.compile(r"\binsert into [`\"]?\w+[`\"]?\.[`\"]?(\w+)")


@dataclass(frozen=True, slots=True)
class Request:
    """A request's bytes: `head` to the empty line, `body` as framed on the wire."""

    method: str
    head: bytes
    body: bytes

    @property
    def statement(self) -> str:
        """Where the statement stands, in lower case: the URL's query, and the beginning of the body."""
        target = self.head.split(b" ", 2)[1].decode("latin-1")
        return (unquote_plus(target) + "\n" + self.body[:4096].decode("latin-1")).lower()

    @property
    def inserts_into(self) -> str:
        """The table, without its database, that the request inserts into; empty where it does something else."""
        found = _INSERT.search(self.statement)
        return found.group(1) if found else ""


def read_request(stream: IO[bytes]) -> Request:
    head, fields = _read_head(stream)
    method = head.split(b" ", 1)[0].decode("latin-1")
    return Request(method, head, _read_body(stream, fields) or b"")


def read_response(stream: IO[bytes], method: str) -> tuple[bytes, bool]:
    """The answer's bytes and whether the connection may be used again."""
    while True:
        head, fields = _read_head(stream)
        status = int(head.split(b" ", 2)[1])
        if status >= 200:
            break
    if method == "HEAD" or status in (204, 304):
        return head, fields.get(b"connection") != b"close"
    body = _read_body(stream, fields)
    if body is None:
        return head + stream.read(), False
    return head + body, fields.get(b"connection", b"").lower() != b"close"


def _read_head(stream: IO[bytes]) -> tuple[bytes, dict[bytes, bytes]]:
    lines: list[bytes] = []
    while sum(map(len, lines)) < _MOST_HEAD:
        line = stream.readline()
        if not line.endswith(b"\n"):
            raise Closed
        lines.append(line)
        if line in (b"\r\n", b"\n"):
            named = (field.split(b":", 1) for field in lines[1:-1] if b":" in field)
            return b"".join(lines), {name.strip().lower(): value.strip() for name, value in named}
    raise Closed


def _read_body(stream: IO[bytes], fields: dict[bytes, bytes]) -> bytes | None:
    """The framed body; None where neither a length nor chunks are told."""
    if b"chunked" in fields.get(b"transfer-encoding", b"").lower():
        parts: list[bytes] = []
        while True:
            size_line = stream.readline()
            if not size_line.endswith(b"\n"):
                raise Closed
            size = int(size_line.split(b";")[0], 16)
            parts += [size_line, _exactly(stream, size + 2)]
            if size == 0:
                return b"".join(parts)
    if b"content-length" in fields:
        return _exactly(stream, int(fields[b"content-length"]))
    return None


def _exactly(stream: IO[bytes], size: int) -> bytes:
    found = stream.read(size)
    if len(found) != size:
        raise Closed
    return found
