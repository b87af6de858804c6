"""The body of a request: a query's text in memory, an insert's data in a file of the spool folder.

The head tells which: an `INSERT … FORMAT X` there (or in the URL) sends the rest to the file. Compressions are undone
on the way, in pieces. A body that ends early, a query beyond the limit and a broken compression are ClickHouseErrors.
"""

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from ingest.embedded.clickhouse import statement
from ingest.embedded.clickhouse.blocks import BlockReader
from ingest.embedded.clickhouse.bodies import Inflater, inflater
from ingest.embedded.clickhouse.errors import ClickHouseError
from ingest.embedded.clickhouse.forms import ExternalTable, FormReader
from ingest.embedded.clickhouse.request import Request

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

# An insert's columns and settings fit into it by far.
_HEAD_BYTES = 256 << 10
_MAX_QUERY_BYTES = 32 << 20
# Smaller pieces are taken on the event loop: a switch of threads costs more than the work.
_INLINE_BYTES = 4 << 10


class ClientGoneError(Exception):
    """The client went away before its request was whole."""


class Intake:
    """A whole request: `text`, for an insert its `statement` and the `file` of its data, of a form its `tables`."""

    def __init__(self, request: Request, spool: Path) -> None:
        self.request = request
        self.tables: list[ExternalTable] = []
        self.text = ""
        self.statement: statement.Statement | None = None
        self.file: Path | None = None
        self._spool = spool
        self._handle = -1
        self._is_judged = False
        is_form = request.headers.get("content-type", "").startswith("multipart/form-data")
        self._form = FormReader(request, spool) if is_form else None
        self._head = bytearray(request.query.encode() + b"\n" if request.query and not is_form else b"")
        self._inflate = inflater(request.headers.get("content-encoding", ""))
        self._unblock: Inflater | None = None
        if request.has_native_decompression and not is_form:
            self._unblock = BlockReader(is_checked=request.is_checksum_checked)
        # An insert that the URL holds needs no look at its data: a quarter of a megabyte took 9 ms.
        if self._head and statement.insert_with_data(self._head.decode()) is not None:
            self._judge()

    def feed(self, raw: bytes) -> None:
        """More of the body, as it came."""
        self._inflate.feed(raw, self._take if self._unblock is None else self._take_blocks)

    def finish(self) -> None:
        """The body is whole."""
        self._inflate.end()
        if self._unblock is not None:
            self._unblock.end()
        if self._form is not None:
            self.request, self.tables = self._form.finish()
            self.text = self.request.query
            return
        self._judge()
        if self.statement is None:
            # Heredocs may hold binary data, as clickhouse-connect's $name$ parameters do.
            self.text = bytes(self._head).decode("utf-8", "surrogateescape")
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _take_blocks(self, piece: bytes) -> None:
        assert self._unblock is not None
        self._unblock.feed(piece, self._take)

    def _take(self, piece: bytes) -> None:
        if self._form is not None:
            self._form.feed(piece)
        elif self._handle >= 0:
            self._write(piece)
        else:
            self._head += piece
            if len(self._head) >= _HEAD_BYTES:
                self._judge()
            if self.statement is None and len(self._head) > _MAX_QUERY_BYTES:
                message = f"A query has at most {_MAX_QUERY_BYTES} bytes here"
                raise ClickHouseError(229, "QUERY_IS_TOO_LARGE", message)

    def _judge(self) -> None:
        """Opens the data's file when the head is that of an insert, once."""
        if self._is_judged:
            return
        self._is_judged = True
        # Data may be binary: cut where a byte is not text, judge only what is before it.
        text = bytes(self._head).decode("utf-8", "surrogateescape")
        found = statement.insert_with_data(text)
        if found is None:
            return
        self._handle, name = tempfile.mkstemp(prefix="insert-", dir=self._spool)
        self.file, self.statement = Path(name), found
        self._write(text[found.data_at :].encode("utf-8", "surrogateescape"))
        self._head.clear()

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._handle, view) :]

    def __enter__(self) -> "Intake":
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        if self.file is not None:
            self.file.unlink(missing_ok=True)
        if self._form is not None:
            self._form.close()


async def read_intake(request: Request, receive: Receive, spool: Path, threads: Executor) -> Intake:
    """Reads the request's body to its end."""
    loop = asyncio.get_running_loop()
    intake = Intake(request, spool)
    try:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            raw = message.get("body", b"")
            if len(raw) > _INLINE_BYTES:
                await loop.run_in_executor(threads, intake.feed, raw)
            elif raw:
                intake.feed(raw)
            if not message.get("more_body", False):
                break
        intake.finish()
    except BaseException:
        intake.__exit__()
        raise
    return intake
