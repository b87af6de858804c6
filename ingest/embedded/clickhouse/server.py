"""ClickHouse's HTTP interface as an ASGI app: routes, bodies, answers, errors.

A request is read and judged on the event loop; the engine works in a bounded pool of threads. An answer is held back up
to a mebibyte, so that an early error has its HTTP status; a later one follows ClickHouse's exception marker.
"""

import asyncio
import re
import tempfile
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from ingest.embedded.clickhouse import statement
from ingest.embedded.clickhouse.answer import Answer
from ingest.embedded.clickhouse.engine import Connection, Engine, Summary, mark, quote, run
from ingest.embedded.clickhouse.errors import ClickHouseError
from ingest.embedded.clickhouse.intake import ClientGoneError, Intake, read_intake
from ingest.embedded.clickhouse.pipes import Pipe
from ingest.embedded.clickhouse.request import Request, read_request
from ingest.embedded.clickhouse.sessions import Sessions
from ingest.embedded.clickhouse.users import User, Users

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_HELD_BYTES = 1 << 20
_CANCEL_EVERY_S = 0.5
_BY_QUERY_ID = re.compile(r"(?i)\bquery_id\s*=\s*'([^'\\]*)'")


class Server:
    """The ASGI app."""

    def __init__(self, engine: Engine, users: Users, *, max_queries: int) -> None:
        self.engine = engine
        self.users = users
        self.max_queries = max_queries
        self.sessions = Sessions(engine)
        self._threads = ThreadPoolExecutor(max_queries + 8, thread_name_prefix="query")
        self._running: set[str] = set()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        answer = Answer(send, self.engine.timezone)
        try:
            request = read_request(scope["method"], scope["path"], scope["query_string"], scope["headers"])
            answer.use(request)
            await self._route(request, receive, answer)
        except ClickHouseError as error:
            await answer.fail(error)
        except ClientGoneError:
            return
        except OSError as error:
            await answer.fail(
                ClickHouseError(243, "NOT_ENOUGH_SPACE", f"The request could not be kept on disk: {error}")
            )

    async def _route(self, request: Request, receive: Receive, answer: Answer) -> None:
        if request.path in ("/ping", "/replicas_status"):
            await answer.whole(200, b"Ok.\n", is_plain=True)
        elif request.path not in ("/", "/query"):
            await answer.whole(404, f"There is no handle {request.path}\n".encode(), is_plain=True)
        elif request.method not in ("GET", "POST", "HEAD"):
            await answer.whole(501, b"Use GET or POST\n", is_plain=True)
        elif request.method in ("GET", "HEAD") and not request.query:
            await answer.whole(200, b"Ok.\n", is_plain=True)
        else:
            await self._query(request, receive, answer)

    async def _query(self, request: Request, receive: Receive, answer: Answer) -> None:
        loop = asyncio.get_running_loop()
        user = await loop.run_in_executor(self._threads, self.users.admit, request.user, request.password)
        if request.has_native_compression or request.has_native_decompression:
            message = "compress=1 and decompress=1 are not supported here; use Content-Encoding and Accept-Encoding"
            raise ClickHouseError(48, "NOT_IMPLEMENTED", message)
        if len(self._running) >= self.max_queries:
            message = f"Too many simultaneous queries. Maximum: {self.max_queries}"
            raise ClickHouseError(202, "TOO_MANY_SIMULTANEOUS_QUERIES", message)
        if request.query_id in self._running:
            message = f"Query with id = {request.query_id} is already running."
            raise ClickHouseError(216, "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING", message)
        self._running.add(request.query_id)
        try:
            with await read_intake(request, receive, self.engine.spool, self._threads) as intake:
                request = intake.request
                asked = statement.parse(intake.text) if intake.statement is None else intake.statement
                if request.method != "POST" and not asked.is_read:
                    message = (
                        f"{request.user}: Cannot execute query in readonly mode. For queries over HTTP, "
                        "method GET implies readonly"
                    )
                    raise ClickHouseError(164, "READONLY", message)
                watch = asyncio.create_task(
                    self._watch(receive, request.query_id, is_insert=asked.kind == "insert_data")
                )
                try:
                    await self._run(request, user, asked, intake, answer)
                finally:
                    watch.cancel()
        finally:
            self._running.discard(request.query_id)

    async def _run(
        self, request: Request, user: User, asked: statement.Statement, intake: Intake, answer: Answer
    ) -> None:
        loop = asyncio.get_running_loop()
        wanted = request.default_format or "TabSeparated"
        with self.sessions.hold(request, user.readonly) as held:
            held.tables = intake.tables
            if asked.kind != "result":
                sql = self._command_text(asked, intake)
                work = partial(
                    held.use,
                    request,
                    asked,
                    partial(_to_end, sql=sql + mark(request.query_id), request=request, wanted=wanted),
                )
                printed, summary = await loop.run_in_executor(self._threads, work)
                answer.summary = summary
                await answer.whole(200, printed, answer_format=wanted)
                return
            answer.format = asked.format or wanted
            pipe = Pipe()
            sql = asked.into_file(pipe.path, wanted) + mark(request.query_id)
            work = partial(held.use, request, asked, partial(_to_end, sql=sql, request=request, wanted=wanted))
            future = loop.run_in_executor(self._threads, pipe.closing(work))
            try:
                await (self._spool if request.is_waiting_for_end else self._stream)(pipe, future, answer)
            finally:
                if not future.done():
                    await loop.run_in_executor(self._threads, self.engine.cancel, request.query_id)
                    await pipe.drain()
                    await asyncio.wait([future])
                pipe.close()

    async def _spool(self, pipe: Pipe, future: "asyncio.Future[tuple[bytes, Summary]]", answer: Answer) -> None:
        """An answer that begins after its end is known, held in a file: its errors all have a status."""
        loop = asyncio.get_running_loop()
        with tempfile.SpooledTemporaryFile(_HELD_BYTES, dir=str(self.engine.spool), prefix="result-") as file:
            while chunk := await pipe.read():
                await loop.run_in_executor(self._threads, file.write, chunk)
            answer.summary = (await future)[1]
            size = file.tell()
            file.seek(0)
            if size <= _HELD_BYTES:
                await answer.whole(200, file.read(), answer_format=answer.format)
                return
            while chunk := await loop.run_in_executor(self._threads, file.read, _HELD_BYTES):
                await answer.part(chunk)
            await answer.end()

    async def _stream(self, pipe: Pipe, future: "asyncio.Future[tuple[bytes, Summary]]", answer: Answer) -> None:
        held = bytearray()
        while chunk := await pipe.read():
            held += chunk
            if len(held) >= _HELD_BYTES:
                await answer.part(bytes(held))
                held.clear()
        answer.summary = (await future)[1]
        if answer.is_begun:
            await answer.part(bytes(held))
            await answer.end()
        else:
            await answer.whole(200, bytes(held), answer_format=answer.format)

    @staticmethod
    def _command_text(asked: statement.Statement, intake: Intake) -> str:
        if asked.kind == "insert_data":
            return asked.from_file(str(intake.file))
        if asked.kind == "kill":
            return _BY_QUERY_ID.sub(lambda match: f"endsWith(query, {quote(mark(match.group(1)))})", asked.text)
        return asked.text

    async def _watch(self, receive: Receive, query_id: str, *, is_insert: bool) -> None:
        """Ends the query of a client that goes away; an insert whose body is here goes on, as in ClickHouse."""
        while (await receive())["type"] != "http.disconnect":
            pass
        # Again and again until this task is cancelled with the request: the query may not have begun at the first time.
        while not is_insert:
            await asyncio.get_running_loop().run_in_executor(self._threads, self.engine.cancel, query_id)
            await asyncio.sleep(_CANCEL_EVERY_S)

    def close(self) -> None:
        """Cancels what still runs and ends the sessions."""
        for query_id in list(self._running):
            self.engine.cancel(query_id)
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.sessions.close()


def _to_end(connection: Connection, *, sql: str, request: Request, wanted: str) -> tuple[bytes, Summary]:
    return run(connection, sql, request.parameters, wanted)
