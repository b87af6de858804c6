"""What an error means, whatever way it came."""

import errno

import chdb
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import ReadTimeoutError

from ingest.warehouse_errors import CODES, ErrorKind, code_of, describe, kind_of


def raised_from(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DatabaseError("x", code=252), ErrorKind.RESOURCE),
        (DatabaseError("x", code=516), ErrorKind.AUTHENTICATION),
        (DatabaseError("Received ClickHouse exception, code: 60, server response: Code: 60."), ErrorKind.SCHEMA),
        (RuntimeError("Code: 27. DB::Exception: Cannot parse input"), ErrorKind.BAD_DATA),
        (DatabaseError("Code: 1001. std::exception: No space left on device", code=1001), ErrorKind.RESOURCE),
        (DatabaseError("HTTP driver received HTTP status 503"), ErrorKind.TRANSIENT),
        (DatabaseError("HTTP driver received HTTP status 404, server response: <html>"), ErrorKind.UNKNOWN),
        (raised_from(OperationalError("x"), ConnectionResetError()), ErrorKind.TRANSIENT),
        (raised_from(OperationalError("x"), OSError(errno.ENOSPC, "full")), ErrorKind.RESOURCE),
        (
            raised_from(OperationalError("x"), ReadTimeoutError(HTTPConnectionPool("h"), "/", "slow")),
            ErrorKind.TRANSIENT,
        ),
        (TimeoutError(), ErrorKind.TRANSIENT),
        (DatabaseError("x", code=987_654), ErrorKind.UNKNOWN),
        (KeyError("x"), ErrorKind.UNKNOWN),
    ],
)
def test_an_error_is_of_its_kind(error: Exception, kind: ErrorKind) -> None:
    assert kind_of(error) is kind


def test_the_code_of_the_outermost_error_counts_and_a_network_error_has_none() -> None:
    assert code_of(DatabaseError("Code: 60", code=241)) == 241
    assert code_of(OperationalError("Connection refused")) is None
    assert describe(DatabaseError("x", code=252)) == "252 TOO_MANY_PARTS"


def test_the_names_are_the_engines_own() -> None:
    codes = ", ".join(str(code) for code in CODES)
    answer = chdb.query(f"select c, errorCodeToName(c) from (select arrayJoin([{codes}])::UInt32 as c)", "TSV")  # type: ignore[no-untyped-call]
    names = dict(line.split("\t") for line in answer.bytes().decode().splitlines())
    assert names == {str(code): name for code, (name, _) in CODES.items()}
