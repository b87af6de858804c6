"""ClickHouse's HTTP interface as an ASGI app: routes, bodies, answers, errors.

A request is read and judged on the event loop; the engine works in a bounded pool of threads. An answer is held back up
to a mebibyte, so that an early error has its HTTP status; a later one follows ClickHouse's exception marker.
"""

import asyncio
import json
import logging
import mmap
import tempfile
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from ingest.embedded.clickhouse import statement, wire
from ingest.embedded.clickhouse.answer import PREFLIGHT, Answer
from ingest.embedded.clickhouse.engine import Connection, Engine, Summary, marked, prepare, run, signed
from ingest.embedded.clickhouse.errors import ClickHouseError
from ingest.embedded.clickhouse.identity import as_client
from ingest.embedded.clickhouse.inputs import load_input
from ingest.embedded.clickhouse.intake import ClientGoneError, Intake, read_intake
from ingest.embedded.clickhouse.native import NativeRevision
from ingest.embedded.clickhouse.pipes import Pipe
from ingest.embedded.clickhouse.refusals import calls_in_values
from ingest.embedded.clickhouse.request import Request, read_request
from ingest.embedded.clickhouse.sessions import Sessions
from ingest.embedded.clickhouse.users import User, Users

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Printed = tuple[bytes, Summary]

_HELD_BYTES = 1 << 20
_MAX_HELD_BYTES = 1 << 30
_CANCEL_EVERY_S = 0.5
_FORGET_S, _FORGET_BYTES = 10, 1 << 30
_EXPRESSIONS = "input_format_values_interpret_expressions"


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
        answer = Answer(
            send,
            scope.get("extensions", {}).get(wire.NAME, {}).get("wire"),
            threads=self._threads,
            timezone=self.engine.timezone,
            content_types=self.engine.content_types,
        )
        incoming = _Incoming(receive)
        try:
            request = read_request(scope["method"], scope["path"], scope["query_string"], scope["headers"])
            answer.use(request)
            await self._route(request, incoming, answer)
        except ClickHouseError as error:
            await incoming.forget()
            await answer.fail(error)
        except ClientGoneError:
            return
        except (AssertionError, LookupError, TypeError, ValueError) as error:
            # A defect of this server: the client still learns that, in the form it knows.
            logging.getLogger("uvicorn.error").exception("a request failed")
            await answer.fail(ClickHouseError(1001, "STD_EXCEPTION", f"{type(error).__name__}: {error}"))
        except OSError as error:
            await incoming.forget()
            await answer.fail(
                ClickHouseError(243, "NOT_ENOUGH_SPACE", f"The request could not be kept on disk: {error}")
            )

    async def _route(self, request: Request, receive: Receive, answer: Answer) -> None:
        if request.method == "OPTIONS":
            await answer.plain(204, b"", PREFLIGHT)
        elif request.path in ("/ping", "/replicas_status"):
            await answer.plain(200, b"Ok.\n")
        elif request.path not in ("/", "/query") or request.method not in ("GET", "POST", "HEAD"):
            text = (
                f"There is no handle {request.method} {request.path}\n\nUse / or /ping for health checks.\n"
                "Or /replicas_status for more sophisticated health checks.\n\n"
                "Send queries from your program with POST method or GET /?query=...\n"
            )
            await answer.plain(404, text.encode())
        elif request.method in ("GET", "HEAD") and not request.query:
            await answer.plain(200, b"Ok.\n")
        elif request.method == "POST" and not {"content-length", "transfer-encoding"} & request.headers.keys():
            message = "The Transfer-Encoding is not chunked and there is no Content-Length header for POST request"
            raise ClickHouseError(381, "HTTP_LENGTH_REQUIRED", message)
        else:
            await self._query(request, receive, answer)

    async def _query(self, request: Request, receive: Receive, answer: Answer) -> None:
        loop = asyncio.get_running_loop()
        user = await loop.run_in_executor(self._threads, self.users.admit, request.user, request.password)
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
                answer.compresses_errors = True
                asked = statement.parse(intake.text) if intake.statement is None else intake.statement
                await loop.run_in_executor(self._threads, self._vet, asked, intake)
                request = intake.request
                asked = as_client(asked, user=request.user, query_id=request.query_id)
                if request.method != "POST" and not asked.is_read:
                    message = (
                        f"{request.user}: Cannot execute query in readonly mode. For queries over HTTP, "
                        "method GET implies readonly"
                    )
                    raise ClickHouseError(164, "READONLY", message)
                watch = asyncio.create_task(
                    self._watch(receive, request.query_id, is_insert=asked.kind == "insert_data")
                )
                ticks = asyncio.create_task(_tick(request, answer))
                try:
                    await self._run(request, user, asked, intake, answer)
                finally:
                    watch.cancel()
                    ticks.cancel()
        finally:
            self._running.discard(request.query_id)

    async def _run(
        self, request: Request, user: User, asked: statement.Statement, intake: Intake, answer: Answer
    ) -> None:
        loop = asyncio.get_running_loop()
        wanted = request.default_format or "TabSeparated"
        with self.sessions.hold(request, user.readonly) as held:
            held.tables = intake.tables
            to_end = partial(_to_end, request=request, wanted=wanted, answer=answer)
            if asked.kind != "result":
                work = partial(
                    held.use, request, asked, partial(self._run_command, asked=asked, intake=intake, to_end=to_end)
                )
                printed, answer.summary = await loop.run_in_executor(self._threads, work)
                has_result = bool(printed) or asked.kind == "kill"
                await answer.whole(200, printed, answer_format=wanted, has_result=has_result)
                return
            answer.format = asked.format or wanted
            if request.protocol_version and answer.format.lower() == "native":
                describe = partial(self._describe, request, user, asked)
                answer.rewrite(NativeRevision(request.protocol_version, describe))
            pipe = Pipe()
            # EXPLAIN would take INTO OUTFILE for its query's own: it is short, and printed.
            sql = asked.text if asked.verb == "EXPLAIN" else asked.into_file(pipe.path, wanted)
            sql = marked(sql, request.query_id, _signature(request))
            work = partial(held.use, request, asked, partial(to_end, sql=sql, wanted=answer.format))
            future = loop.run_in_executor(self._threads, pipe.closing(work))
            try:
                await self._stream(pipe, future, answer, request)
            finally:
                if not future.done():
                    await loop.run_in_executor(self._threads, self.engine.cancel, request.query_id)
                    await pipe.drain()
                    await asyncio.wait([future])
                pipe.close()

    async def _stream(self, pipe: Pipe, future: "asyncio.Future[Printed]", answer: Answer, request: Request) -> None:
        """Holds an answer's beginning back, or all of it when the client waits for the end; then hands it on.

        What is held beyond a mebibyte is in a file. An error while it is held has a status of its own.
        """
        loop = asyncio.get_running_loop()
        most = min(request.buffer_bytes, _MAX_HELD_BYTES) or (0 if request.is_never_waiting else _HELD_BYTES)
        with tempfile.SpooledTemporaryFile(_HELD_BYTES, dir=str(self.engine.spool), prefix="result-") as held:
            size, rest = 0, b""
            while chunk := await pipe.read():
                if not request.is_waiting_for_end and size + len(chunk) > most:
                    rest = chunk
                    break
                size += len(chunk)
                if size > _HELD_BYTES:
                    await loop.run_in_executor(self._threads, held.write, chunk)
                else:
                    held.write(chunk)
            if not rest:
                printed, answer.summary = await future
                size += held.write(printed)
            held.seek(0)
            if size <= _HELD_BYTES and not rest:
                await answer.whole(200, held.read(), answer_format=answer.format)
                return
            while chunk := await loop.run_in_executor(self._threads, held.read, _HELD_BYTES):
                await answer.part(chunk)
        if rest:
            await self._pass_on(pipe, rest, answer, at_once=min(most, _HELD_BYTES))
            await future
        await answer.end()

    @staticmethod
    async def _pass_on(pipe: Pipe, held: bytes, answer: Answer, *, at_once: int) -> None:
        """The rest of a long answer, in parts worth a switch of threads, or as the client wants them."""
        parts = bytearray(held)
        if len(parts) >= at_once:
            await answer.part(bytes(parts))
            parts.clear()
        while chunk := await pipe.read():
            parts += chunk
            if len(parts) >= at_once:
                await answer.part(bytes(parts))
                parts.clear()
        await answer.part(bytes(parts))

    def _describe(self, request: Request, user: User, asked: statement.Statement) -> dict[str, str]:
        """The full types of a query's columns, by their names; what cannot be told is left out."""
        try:
            with self.engine.connection(user.readonly) as connection:
                prepare(connection, request.database, request.settings)
                text = asked.text[: asked.clause_at] if asked.clause_at >= 0 else asked.text
                told = run(connection, f"DESCRIBE TABLE ({text}\n) FORMAT JSONCompactEachRow", request.parameters)[0]
        except ClickHouseError:
            return {}
        return {name: kind for name, kind, *_ in map(json.loads, told.splitlines())}

    def _vet(self, asked: statement.Statement, intake: Intake) -> None:
        """Raises ClickHouseError for what no client may run; the values of an insert are expressions, too."""
        self.engine.vet(asked.text[: asked.data_at] if asked.kind == "insert_data" else asked.text)
        if asked.format.lower() == "values" and intake.file is not None and intake.file.stat().st_size:
            with intake.file.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                if not calls_in_values(data):
                    return
            if _EXPRESSIONS in asked.text:
                raise ClickHouseError(497, "ACCESS_DENIED", f"{_EXPRESSIONS} cannot be set with these values")
            intake.request = replace(intake.request, settings={**intake.request.settings, _EXPRESSIONS: "0"})

    def _run_command(
        self, connection: Connection, asked: statement.Statement, intake: Intake, to_end: Callable[..., Printed]
    ) -> Printed:
        """A statement without a result, an insert with its data; in a thread of the pool."""
        if intake.file is None:
            sql = asked.text
        elif asked.input_at < 0:
            sql = asked.from_file(str(intake.file))
        else:
            sql = load_input(connection, asked, intake.file, self.engine.vet)
        return to_end(connection, sql=marked(sql, intake.request.query_id, _signature(intake.request)))

    async def _watch(self, receive: Receive, query_id: str, *, is_insert: bool) -> None:
        """Ends the query of a client that goes away; an insert whose body is here goes on, as in ClickHouse."""
        while (await receive())["type"] != "http.disconnect":
            pass
        # Again and again until this task is cancelled with the request: the query may not have begun at the first time.
        while not is_insert:
            await asyncio.get_running_loop().run_in_executor(self._threads, self.engine.cancel, query_id)
            await asyncio.sleep(_CANCEL_EVERY_S)

    def cancel_running(self) -> None:
        """Ends every query that runs, as KILL QUERY does; from any thread."""
        for query_id in list(self._running):
            self.engine.cancel(query_id)

    def close(self) -> None:
        """Cancels what still runs and ends the sessions."""
        self.cancel_running()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.sessions.close()


class _Incoming:
    """The request's messages. A client that still sends reads no answer: what is left of a body is forgotten first."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self._is_whole = receive, False

    async def __call__(self) -> Message:
        message = await self._receive()
        self._is_whole = self._is_whole or not message.get("more_body", False)
        return message

    async def forget(self) -> None:
        size = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(_FORGET_S):
                while not self._is_whole and size < _FORGET_BYTES:
                    size += len((await self()).get("body", b""))


async def _tick(request: Request, answer: Answer) -> None:
    """Says how far a query is, as often as the client wants, until it is cancelled."""
    while request.progress_every_s and request.method != "HEAD":
        await asyncio.sleep(request.progress_every_s)
        answer.tick()


def _signature(request: Request) -> str:
    return signed(request.user, request.headers.get("user-agent", ""))


def _to_end(connection: Connection, *, sql: str, request: Request, wanted: str, answer: Answer) -> Printed:
    def note(summary: Summary) -> None:
        answer.summary = summary

    return run(connection, sql, request.parameters, wanted, note)
