"""The chDB engine of one directory: connections, queries, their end.

A connection serves one request (0.2 ms to make, measured) or one session. A query that returns rows writes them,
formatted by the engine, into a pipe: chDB's own streaming would close a JSON document at every chunk (measured).
The query's text ends in a comment with its id, by which `cancel` and KILL QUERY find it: chDB makes ids of its own.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from ingest.embedded.clickhouse.errors import ClickHouseError, from_engine
from ingest.embedded.clickhouse.folders import make_databases
from ingest.embedded.clickhouse.grants import users_xml
from ingest.embedded.clickhouse.refusals import vet

# A merge that is writing when the disk fills can leave a part with empty marks, so merges, like inserts, leave this
# much alone. An insert asks for as much by the setting min_free_disk_bytes_to_perform_insert.
KEPT_FREE_BYTES = 64 << 20
# merge_selector_base: ten like parts are merged at once, not five, so that a backlog's rows are written fewer times.
_LONGEST_AGENT = 200
_CONFIG = """<clickhouse>
    <logger><level>none</level></logger>
    <timezone>UTC</timezone>
    <default_database></default_database><database>default</database>
    <user_files_path>{home}/user_files/</user_files_path>
    <background_pool_size>2</background_pool_size>
    <background_schedule_pool_size>4</background_schedule_pool_size>
    <background_common_pool_size>2</background_common_pool_size>
    <mark_cache_size>67108864</mark_cache_size>
    <storage_configuration><disks><default><keep_free_space_bytes>{kept_free}</keep_free_space_bytes></default></disks></storage_configuration>
    <merge_tree>
        <merge_selector_base>10</merge_selector_base>
        <number_of_free_entries_in_pool_to_execute_mutation>1</number_of_free_entries_in_pool_to_execute_mutation>
        <number_of_free_entries_in_pool_to_lower_max_size_of_merge>1</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
        <number_of_free_entries_in_pool_to_execute_optimize_entire_partition>1</number_of_free_entries_in_pool_to_execute_optimize_entire_partition>
    </merge_tree>
    <query_log><database>system</database><table>query_log</table>
        <flush_interval_milliseconds>1000</flush_interval_milliseconds>
        <ttl>event_date + INTERVAL 3 DAY DELETE</ttl></query_log>
    <users_config>{home}/engine/users.xml</users_config>
</clickhouse>
"""


class Result(Protocol):
    """What chDB returns of a query."""

    def bytes(self) -> bytes: ...
    # Of the result.
    def rows_read(self) -> int: ...
    def bytes_read(self) -> int: ...
    # Of what was read for it.
    def storage_rows_read(self) -> int: ...
    def storage_bytes_read(self) -> int: ...
    def rows_written(self) -> int: ...
    def bytes_written(self) -> int: ...
    def elapsed(self) -> float: ...


class Connection(Protocol):
    """A chDB connection; settings, temporary tables and the current database are its own."""

    def query(self, query_str: str | bytes, format: str = ..., *, params: dict[str, str] = ...) -> Result: ...  # noqa: A002
    def set_progress_callback(self, callback: "Callable[[dict[str, int]], None] | None") -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Summary:
    """Rows and bytes of one query so far, as X-ClickHouse-Summary and X-ClickHouse-Progress name them."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    total_rows_to_read: int = 0
    result_rows: int = 0
    result_bytes: int = 0
    elapsed_ns: int = 0


class Engine:
    """One data directory, opened; its folders are there (folders.py). `close` after the last query."""

    def __init__(self, home: Path, users: Iterable[str] = ()) -> None:
        from chdb import _chdb

        self.home = home.absolute()
        self.spool = self.home / "spool"
        config = self.home / "engine" / "config.xml"
        config.write_text(_CONFIG.format(home=self.home, kept_free=KEPT_FREE_BYTES))
        (self.home / "engine" / "users.xml").write_text(users_xml(users))
        make_databases(self.home / "data")
        self._connect = vars(_chdb)["connect"]
        self._address = f"{self.home / 'data'}?config-file={config}"
        # The engine lives as long as one connection is open.
        self._root = self.connect()
        row = self.ask("select timezone(), version()").split("\t")
        self.timezone, self.version = row[0], row[1]
        listed = self.ask("select lower(name), content_type from system.formats where is_output").split("\n")
        self.content_types = dict(line.split("\t") for line in listed)
        known = "select upper(name) from system.table_engines union all select upper(name) from system.database_engines"
        self._engines = frozenset(self.ask(known).split("\n"))

    def connect(self, readonly: int = 0) -> Connection:
        connection = cast("Connection", self._connect(self._address))
        # What clickhouse-local presets and a server does not.
        connection.query(
            "SET implicit_select = 0, storage_file_read_method = DEFAULT, allow_introspection_functions = 0"
        )
        if readonly:
            connection.query(f"SET readonly = {int(readonly)}")
        return connection

    @contextmanager
    def connection(self, readonly: int = 0) -> Iterator[Connection]:
        """A connection for one request."""
        connection = self.connect(readonly)
        try:
            yield connection
        finally:
            connection.close()

    def ask(self, sql: str, parameters: Mapping[str, str] | None = None) -> str:
        """The answer to a question of this server's own, tab separated."""
        with self.connection() as connection:
            return run(connection, sql, parameters or {})[0].decode().rstrip("\n")

    def vet(self, text: str) -> None:
        """Raises ClickHouseError for a statement that no client may run; the head of an insert is one."""
        vet(text, self._wording, self._engines)

    def _wording(self, text: str) -> str:
        """The engine's own wording of a statement; what it cannot read is a syntax error."""
        asked = "SELECT formatQuerySingleLine({q:String}) SETTINGS max_query_size = 0, max_parser_depth = 10000"
        try:
            with self.connection() as connection:
                # An escape in a string may stand for a byte that is no UTF-8; words outside of strings never are.
                return run(connection, asked, {"q": escape(text)}, "TSVRaw")[0].decode(errors="surrogateescape")
        except ClickHouseError as error:
            # Of the client's statement only, not of the question about it.
            said, _, rest = error.body.partition(": In scope SELECT format")
            body = f"{said}.{rest[rest.rfind(' (') :]}" if rest else said
            raise ClickHouseError(error.code, "", "", body=body) from None

    def cancel(self, query_id: str) -> None:
        """Ends the query with that id, should it run; does not wait for its end."""
        mine = self.ask(
            "select query_id from system.processes where endsWith(query, {m:String})", {"m": escape(mark(query_id))}
        )
        for engine_id in filter(None, mine.split("\n")):
            self.ask(f"kill query where query_id = {quote(engine_id)} async")

    def close(self) -> None:
        self._root.close()


def mark(query_id: str) -> str:
    """The comment that ends the text of the query with that id."""
    return f"/* query_id={query_id.replace('*/', '* /')} */"


def signed(user: str, agent: str) -> str:
    """The comment before the mark: who asks, and with what program, in a spelling that ends no comment."""
    return f"/* by={user.encode().hex()}.{agent[:_LONGEST_AGENT].encode(errors='replace').hex()} */"


def marked(sql: str, query_id: str, by: str) -> str:
    """A query's text, signed, with its id; behind a comment, space at its head is kept, which the engine's logs would
    lack."""
    return f"{'/**/' if sql[:1].isspace() else ''}{sql}{by}{mark(query_id)}"


def escape(text: str) -> str:
    """A query parameter's value as the engine reads it."""
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\0", "\\0")


def quote(text: str) -> str:
    """A string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quote_name(name: str) -> str:
    """A quoted identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def prepare(connection: Connection, database: str, settings: Mapping[str, str]) -> None:
    """Makes a connection's database and settings those of a request; raises ClickHouseError as the engine would."""
    if database:
        run(connection, f"USE {quote_name(database)}", {})
    for name in settings:
        if not name.replace("_", "").isalnum():
            raise ClickHouseError(115, "UNKNOWN_SETTING", f"Unknown setting '{name}'")
    # The engine takes it with a query only, and off is what it is.
    said = {name: value for name, value in settings.items() if (name, value) != ("run_query_in_background", "0")}
    if said:
        run(connection, "SET " + ", ".join(f"{name} = {quote(value)}" for name, value in said.items()), {})


def run(
    connection: Connection,
    sql: str,
    parameters: Mapping[str, str],
    default_format: str = "TabSeparated",
    progress: Callable[[Summary], None] | None = None,
) -> tuple[bytes, Summary]:
    """Runs a query to its end; returns what it printed, and its summary.

    `progress` is called ten times a second while it runs, in a thread of the engine's.
    """
    seen = Summary()

    def on_progress(values: dict[str, int]) -> None:
        nonlocal seen
        seen = Summary(**{name: values.get(name, 0) for name in Summary.__dataclass_fields__})
        if progress is not None:
            progress(seen)

    connection.set_progress_callback(on_progress)
    try:
        result = connection.query(sql.encode("utf-8", "surrogateescape"), default_format, params=dict(parameters))
    except RuntimeError as error:
        raise from_engine(error) from None
    finally:
        connection.set_progress_callback(None)
    written_rows, written_bytes = result.rows_written(), result.bytes_written()
    return result.bytes(), Summary(
        # Rows that came from the request's body count as read, which the engine does not say of a file's.
        result.storage_rows_read() or written_rows,
        result.storage_bytes_read() or written_bytes,
        written_rows,
        written_bytes,
        seen.total_rows_to_read,
        result.rows_read() or written_rows,
        result.bytes_read() or written_bytes,
        int(result.elapsed() * 1e9),
    )
