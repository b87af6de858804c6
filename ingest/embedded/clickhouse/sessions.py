"""Sessions by id: a connection each, one query at a time, forgotten when idle for their timeout.

A setting in the URL holds for its query only: after it the setting is reset and the session's own SETs are said again.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from ingest.embedded.clickhouse.engine import Connection, Engine, prepare, quote, quote_name, run
from ingest.embedded.clickhouse.errors import ClickHouseError
from ingest.embedded.clickhouse.forms import ExternalTable
from ingest.embedded.clickhouse.request import Request
from ingest.embedded.clickhouse.statement import Statement

_T = TypeVar("_T")
_MAX_SESSIONS = 2_000


class Held:
    """The connection of one request: its session's, or one of its own."""

    def __init__(self, engine: Engine, readonly: int) -> None:
        self.engine, self.readonly = engine, readonly
        self.connection: Connection | None = None
        self.is_busy = False
        self.expires_at = 0.0
        self.said: list[str] = []
        self.tables: list[ExternalTable] = []

    def use(self, request: Request, asked: Statement, work: Callable[[Connection], _T]) -> _T:
        """Runs `work` with the request's database and settings; in a thread of the pool."""
        if not request.session_id:
            return self._use_once(request, "", work)
        if self.connection is None:
            self.connection = self.engine.connect(self.readonly)
        if self.tables and self.readonly == 1:
            # A reader's session can make no tables, and holds nothing but its database.
            return self._use_once(request, self._current_database(self.connection), work)
        database = self._current_database(self.connection) if request.database else ""
        try:
            prepare(self.connection, request.database, request.settings)
            self._load(self.connection)
            done = work(self.connection)
        finally:
            self._restore(self.connection, request)
            # As in a setting, the URL's database is of one query; one that USE chose stays.
            if database and asked.verb != "USE":
                with suppress(ClickHouseError):
                    run(self.connection, f"USE {quote_name(database)}", {})
        if asked.kind == "set":
            self.said.append(asked.text)
        return done

    def _current_database(self, connection: Connection) -> str:
        return run(connection, "SELECT currentDatabase()", {}, "TSVRaw")[0].decode().rstrip("\n")

    def _use_once(self, request: Request, database: str, work: Callable[[Connection], _T]) -> _T:
        """On a connection of its own. External tables are made before it may only read, as a server makes them."""
        with self.engine.connection() as connection:
            if self.readonly == 1:
                self._load(connection)
            if self.readonly:
                run(connection, f"SET readonly = {int(self.readonly)}", {})
            prepare(connection, request.database or database, request.settings)
            if self.readonly != 1:
                self._load(connection)
            return work(connection)

    def _load(self, connection: Connection) -> None:
        """Makes the request's external tables."""
        for table in self.tables:
            name = quote_name(table.name)
            create = f"CREATE TEMPORARY TABLE {name} ({table.structure})"
            self.engine.vet(create)
            run(connection, create, {})
            source = f"FROM INFILE {quote(str(table.file))} COMPRESSION 'none'"
            run(connection, f"INSERT INTO {name} {source} FORMAT {table.format}", {})

    def _restore(self, connection: Connection, request: Request) -> None:
        for table in self.tables:
            run(connection, f"DROP TEMPORARY TABLE IF EXISTS {quote_name(table.name)}", {})
        for name in request.settings:
            try:
                run(connection, f"SET {name} = DEFAULT", {})
            except ClickHouseError:
                continue
        for text in self.said if request.settings else ():
            run(connection, text, {})

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()


class Sessions:
    """All sessions; used on the event loop only."""

    def __init__(self, engine: Engine, now: Callable[[], float] = time.monotonic) -> None:
        self._engine, self._now = engine, now
        self._held: dict[tuple[str, str], Held] = {}

    @contextmanager
    def hold(self, request: Request, readonly: int = 0) -> Iterator[Held]:
        """The request's connection; raises ClickHouseError for a session that is locked, unknown or one too many."""
        if not request.session_id:
            yield Held(self._engine, readonly)
            return
        self._forget_idle()
        name = (request.user, request.session_id)
        session = self._held.get(name)
        if session is None:
            if request.session_check:
                raise ClickHouseError(372, "SESSION_NOT_FOUND", f"Session {request.session_id} not found")
            if len(self._held) >= _MAX_SESSIONS:
                raise ClickHouseError(
                    202, "TOO_MANY_SIMULTANEOUS_QUERIES", f"Too many sessions. Maximum: {_MAX_SESSIONS}"
                )
            session = self._held[name] = Held(self._engine, readonly)
        if session.is_busy:
            message = f"Session {request.session_id} is locked by a concurrent client"
            raise ClickHouseError(373, "SESSION_IS_LOCKED", message)
        session.is_busy = True
        try:
            yield session
        finally:
            session.is_busy = False
            session.expires_at = self._now() + request.session_timeout_s

    def _forget_idle(self) -> None:
        now = self._now()
        for name in [name for name, one in self._held.items() if not one.is_busy and one.expires_at < now]:
            self._held.pop(name).close()

    def close(self) -> None:
        for session in self._held.values():
            if not session.is_busy:
                session.close()
        self._held.clear()
