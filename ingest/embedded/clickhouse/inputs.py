"""INSERT … SELECT … FROM input('columns') FORMAT …: the body, which is in a file, becomes a temporary table first."""

from collections.abc import Callable
from pathlib import Path

from ingest.embedded.clickhouse.engine import Connection, quote, run
from ingest.embedded.clickhouse.errors import ClickHouseError
from ingest.embedded.clickhouse.statement import Statement, only_columns, tokens

_TABLE = "_input_of_this_query"


def load_input(connection: Connection, asked: Statement, file: Path, vet: Callable[[str], None]) -> str:
    """Loads the data; returns the statement that inserts them. ClickHouseError when they or the columns are wrong."""
    call = tokens(asked.text[asked.input_arguments_at : asked.clause_at])
    closing = next((token for token in call if token.text == ")" and token.depth == 0), None)
    if closing is None or len(call) < 2 or call[1].kind != "string":
        message = "input() needs its columns as a string: input('a Int8, b String')"
        raise ClickHouseError(36, "BAD_ARGUMENTS", message)
    literal = asked.text[asked.input_arguments_at + call[1].start : asked.input_arguments_at + call[1].end]
    columns = run(connection, f"SELECT {literal}", {}, "TSVRaw")[0].decode().rstrip("\n")
    create = f"CREATE TEMPORARY TABLE {_TABLE} ({only_columns(columns)}) ENGINE = MergeTree ORDER BY tuple()"
    vet(create)
    run(connection, f"DROP TEMPORARY TABLE IF EXISTS {_TABLE}", {})
    run(connection, create, {})
    source = f"FROM INFILE {quote(str(file))} COMPRESSION 'none'"
    run(connection, f"INSERT INTO {_TABLE} {source} FORMAT {asked.format}", {})
    after = asked.text[asked.input_arguments_at + closing.end : asked.clause_at]
    return f"{asked.text[: asked.input_at]}{_TABLE}{after}".rstrip()
