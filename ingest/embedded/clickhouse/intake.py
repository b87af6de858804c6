"""The body of a request: a query's text in memory, an insert's data in a file of the spool folder.

The head tells which: an `INSERT … FORMAT X` there (or in the URL) sends the rest to the file.
A body that ends early, a query beyond the limit and a broken compression are ClickHouseErrors.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from ingest.embedded.clickhouse import statement
from ingest.embedded.clickhouse.bodies import inflater
from ingest.embedded.clickhouse.errors import ClickHouseError
from ingest.embedded.clickhouse.forms import ExternalTable, read_form
from ingest.embedded.clickhouse.request import Request

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

# An insert's columns and settings fit into it by far.
_HEAD_BYTES = 256 << 10
_MAX_QUERY_BYTES = 32 << 20


class ClientGoneError(Exception):
    """The client went away before its request was whole."""


class Intake:
    """A whole request: `text`, for an insert its `statement` and the `file` of its data, of a form its `tables`."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.tables: list[ExternalTable] = []
        self.text = ""
        self.statement: statement.Statement | None = None
        self.file: Path | None = None

    def take_text(self, body: bytes, *, is_form: bool) -> None:
        """The body of what is no insert with data: a query's text or a form."""
        if is_form:
            self.request, self.tables = read_form(self.request, body)
        self.text = self.request.query if is_form else _decode(body)

    def __enter__(self) -> "Intake":
        return self

    def __exit__(self, *_: object) -> None:
        if self.file is not None:
            self.file.unlink(missing_ok=True)


async def read_intake(request: Request, receive: Receive, spool: Path, threads: Executor) -> Intake:
    """Reads the request's body to its end."""
    loop = asyncio.get_running_loop()
    intake, head = Intake(request), bytearray()
    is_form = request.headers.get("content-type", "").startswith("multipart/form-data")
    if request.query and not is_form:
        head += request.query.encode() + b"\n"
    target = None
    is_judged = is_form
    try:
        async for chunk in _chunks(request, receive):
            if target is not None:
                await loop.run_in_executor(threads, _write_all, target, chunk)
                continue
            head += chunk
            if not is_judged and len(head) >= _HEAD_BYTES:
                is_judged = True
                target = _begin_data(intake, bytes(head), spool)
            if target is None and len(head) > _MAX_QUERY_BYTES:
                raise ClickHouseError(66, "QUERY_IS_TOO_LARGE", f"A query has at most {_MAX_QUERY_BYTES} bytes here")
        if not is_judged:
            target = _begin_data(intake, bytes(head), spool)
        if target is None:
            intake.take_text(bytes(head), is_form=is_form)
    except BaseException:
        intake.__exit__()
        raise
    finally:
        if target is not None:
            os.close(target)
    return intake


def _begin_data(intake: Intake, head: bytes, spool: Path) -> int | None:
    """Opens the data's file when the head is that of an insert; None when it is another query."""
    # Data may be binary: cut where a byte is not text, judge only what is before it.
    text = head.decode("utf-8", "surrogateescape")
    found = statement.insert_with_data(text)
    if found is None:
        return None
    handle, name = tempfile.mkstemp(prefix="insert-", dir=spool)
    intake.file = Path(name)
    intake.statement = found
    try:
        _write_all(handle, text[found.data_at :].encode("utf-8", "surrogateescape"))
    except BaseException:
        os.close(handle)
        raise
    return handle


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _decode(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise ClickHouseError(
            62, "SYNTAX_ERROR", f"Syntax error: the query is not UTF-8 at byte {error.start}"
        ) from None


async def _chunks(request: Request, receive: Receive) -> AsyncIterator[bytes]:
    """The body's pieces, decompressed."""
    inflate = inflater(request.headers.get("content-encoding", ""))
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        if raw := message.get("body", b""):
            try:
                piece = inflate.decompress(raw)
            except Exception as error:  # noqa: BLE001  # each library has an exception of its own
                raise ClickHouseError(271, "CANNOT_DECOMPRESS", f"The body cannot be decompressed: {error}") from None
            if piece:
                yield piece
        if not message.get("more_body", False):
            return
