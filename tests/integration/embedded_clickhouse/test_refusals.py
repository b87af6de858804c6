"""What no user of the embedded engine may do to its host, in the words an attacker would choose."""

import os
from pathlib import Path
from urllib.error import HTTPError

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_connect.driver.external import ExternalData

from tests.integration.embedded_clickhouse.asking import ask
from tests.support.shared import Engine

_SECRET = "a secret of this host"
_TABLE_FUNCTIONS = [
    "file('{secret}', 'LineAsString', 'x String')",
    "FILE /* x */ (\n'{secret}', 'LineAsString', 'x String')",
    "`f\\x69le`('{secret}', 'LineAsString', 'x String')",
    "“file”('{secret}', 'LineAsString', 'x String')",
    "filesystem('/etc')",
    "fileCluster('default', '{secret}', 'LineAsString', 'x String')",
    "url('http://127.0.0.1:{port}/ping', 'LineAsString', 'x String')",
    "executable('id', 'TSV', 'x String')",
    "python(os)",
    "eval('select 1')",
    "remote('127.0.0.1', system.one)",
    "remoteSecure('127.0.0.1', system.one)",
    "s3('http://127.0.0.1:{port}/bucket/key', 'TSV', 'x String')",
    "gcs('http://127.0.0.1:{port}/bucket/key', 'k', 's', 'TSV', 'x String')",
    "sqlite('{secret}', 'x')",
    "mysql('127.0.0.1:{port}', 'a', 'b', 'c', 'd')",
    "postgresql('127.0.0.1:{port}', 'a', 'b', 'c', 'd')",
    "mongodb('127.0.0.1:{port}', 'a', 'b', 'c', 'd', 'x String')",
    "redis('127.0.0.1:{port}', 'k', 'k String')",
    "odbc('DSN=x', 'a', 'b')",
    "jdbc('DSN=x', 'a', 'b')",
    "hdfs('hdfs://127.0.0.1:{port}/x', 'TSV', 'x String')",
    "azureBlobStorage('http://127.0.0.1:{port}/x', 'c', 'b', 'a', 'aGVsbG8=', 'TSV', 'auto', 'x String')",
    "icebergLocal('/tmp')",
    "deltaLakeLocal('/tmp')",
    "ytsaurus('http://127.0.0.1:{port}', '//x', 'y', 'x String')",
]
_EXPRESSIONS = [
    "file('{secret}')",
    "FiLe\t('{secret}')",
    "`file`('{secret}')",
    "\"f\\x69le\" -- x\n('{secret}')",
    "arrayMap(x -> file(x), ['{secret}'])[1]",
    "(select file('{secret}'))",
    "aiGenerate('x')",
    "catboostEvaluate('{secret}', 1)",
]
_SOURCES = [
    "source(executable(command 'id' format 'TSV'))",
    "sOurce /**/ (`File`(path '{secret}' format 'TSV'))",
    "source(http(url 'http://127.0.0.1:{port}' format 'TSV'))",
    "source(clickhouse(host '10.0.0.1' table 'x'))",
    "source(clickhouse(host 'localhost' port {port} table 'x'))",
    "source(clickhouse(query 'select file(\\'{secret}\\')'))",
]
_STATEMENTS = [
    "select 1 into outfile '{secret}.copy'",
    "select 1 intO/**/ouTfile '{secret}.copy'",
    "explain select 1 into outfile '{secret}.copy'",
    "insert into open_table from infile '{secret}' format LineAsString",
    "create table bad (a String) engine = File(TSV, '{secret}')",
    "create table bad (a String) engine = Kafka('127.0.0.1:{port}', 't', 'g', 'TSV')",
    "create table bad (a String) engine = NATS settings nats_url = '127.0.0.1:{port}', nats_subjects = 'a'",
    "create table bad (a String) engine = FileLog('/tmp', 'TSV')",
    "create table bad (a String) engine = /* x */ `Executable`('id', 'TSV')",
    "create table bad (a String) engine = ExecutablePool('id', 'TSV')",
    "create table bad (a String) engine = EmbeddedRocksDB(0, '/tmp/rocks') primary key a",
    "create table bad (a String) engine = URL('http://127.0.0.1:{port}/', 'TSV')",
    "create table bad (a String) engine = S3('http://127.0.0.1:{port}/b/k', 'TSV')",
    "create table bad (a String) engine = MySQL('127.0.0.1:{port}', 'a', 'b', 'c', 'd')",
    "create table bad (a String) engine = PostgreSQL('127.0.0.1:{port}', 'a', 'b', 'c', 'd')",
    "create table bad (a String) engine = MongoDB('127.0.0.1:{port}', 'a', 'b', 'c', 'd')",
    "create table bad (a String) engine = Redis('127.0.0.1:{port}') primary key a",
    "create table bad (a String) engine = SQLite('/tmp/x', 'y')",
    "create table bad (a String) engine = ODBC('a', 'b', 'c')",
    "create table bad (a String) engine = IcebergLocal('/tmp')",
    "create table bad (a String) engine = Distributed('default', 'default', 'open_table')",
    "create table bad (a String) engine = Remote('127.0.0.1', system, one)",
    "create table bad (a String default file('{secret}')) engine = Memory",
    "create table bad (a Int8) engine = MergeTree order by a settings disk = disk(type = 'local', path = '/tmp/')",
    "create table bad as file('{secret}', 'LineAsString')",
    "create materialized view bad engine = File(TSV) as select 1",
    "create view bad as select file('{secret}')",
    "create view bad sql security none as select 1",
    "create database bad engine = Filesystem('/etc')",
    "create database bad engine = S3('http://127.0.0.1:{port}/')",
    "create database bad engine = SQLite('/tmp/x')",
    "create database bad engine = MySQL('127.0.0.1:{port}', 'a', 'b', 'c')",
    "create database bad engine = PostgreSQL('127.0.0.1:{port}', 'a', 'b', 'c')",
    "create database bad engine = MaterializedPostgreSQL('127.0.0.1:{port}', 'a', 'b', 'c')",
    "create database bad engine = DataLakeCatalog('http://127.0.0.1:{port}') settings warehouse = 'x'",
    "create database bad engine = Backup('default', Disk('x', 'y'))",
    *(f"create dictionary bad (a UInt64) primary key a {s} layout(flat()) lifetime(0)" for s in _SOURCES),
    "create function bad as x -> file(x)",
    "create named collection bad as url = 'http://127.0.0.1:{port}'",
    "attach table bad from '/tmp' (a Int8) engine = MergeTree order by a",
    "backup table open_table to File('/tmp/bad')",
    "restore table open_table from File('/tmp/bad')",
    "insert into function file('/tmp/bad', 'TSV', 'a Int8') select 1",
    "insert into function url('http://127.0.0.1:{port}/', 'TSV', 'a Int8') select 1",
    "system shutdown",
    "system kill",
    "system suspend for 1 second",
    "system enable failpoint smt_merge_selecting_task_pause_when_scheduled",
    "system allocate memory 1000",
    "drop database system",
    "drop table system.one",
    "insert into system.one values (1)",
    "grant select on *.* to reader",
    "create user bad",
    "set dialect = 'kusto'",
    "select 1 settings output_format_schema = '/tmp/bad'",
    "alter table open_table update a = file('{secret}') where 1",
    "with (select file('{secret}')) as x select x",
]


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Path:
    """A file of this host that the engine's process could read by its owner."""
    file = tmp_path_factory.mktemp("host") / "secret"
    file.write_text(_SECRET)
    ask(engine, "create table if not exists open_table (a String) engine = MergeTree order by a")
    return file


@pytest.mark.parametrize("user", ["default", "reader"])
@pytest.mark.parametrize(
    "sql", [*(f"select * from {f}" for f in _TABLE_FUNCTIONS), *(f"select {e}" for e in _EXPRESSIONS), *_STATEMENTS]
)
def test_a_statement_that_reaches_the_host_is_refused_with_clickhouse_s_exception(
    engine: Engine, secret: Path, user: str, sql: str
) -> None:
    text = sql.replace("{secret}", str(secret)).replace("{port}", engine.url.rsplit(":", 1)[1])
    with pytest.raises(HTTPError) as refused:
        ask(engine, text, user=user)
    said = refused.value.read().decode()
    assert _SECRET not in said
    # Not privileged, only reading, not over HTTP, no such constraint, no cluster, or not what the engine takes at all.
    assert refused.value.headers["X-ClickHouse-Exception-Code"] in (
        "497",
        "164",
        "358",
        "344",
        "452",
        "701",
        "36",
        "56",
        "62",
    ), said
    assert ask(engine, "select 1") == "1\n"
    assert not Path(f"{secret}.copy").exists()


def test_expressions_hidden_in_data_settings_and_columns_read_no_file_of_the_host(engine: Engine, secret: Path) -> None:
    if not ask(engine, "select 1") or "no fence" in engine.log.read_text():
        pytest.skip("this kernel has no Landlock")
    path = str(secret)
    hidden = [
        f"insert into open_table values (file('{path}'))",
        f"insert into open_table values (`f\\x69le`('{path}'))",
        f"insert into open_table settings input_format_values_interpret_expressions = 1 values (file('{path}'))",
        f"select * from format(Values, 'x String', '(file(''{path}''))')",
        f"select * from open_table settings additional_table_filters = {{'open_table': 'file(''{path}'') = a'}}",
        f"select * from generateRandom('a String default file(''{path}'')') limit 1",
        f"insert into open_table select x from input('x String default file(''{path}'')') format TSV\n\n",
        "select file('/proc/self/environ')",
    ]
    for sql in hidden:
        try:
            said = ask(engine, sql)
        except HTTPError as error:
            said = error.read().decode()
        assert _SECRET not in said, sql
        assert "PATH=" not in said, sql
    assert _SECRET not in ask(engine, "select a from open_table")


def test_a_word_that_is_no_call_is_not_refused(engine: Engine, secret: Path) -> None:
    assert secret.exists()
    ask(engine, "insert into open_table values ('file(1)'), ('say \"file\" (x)')")
    ask(engine, "create or replace table file (file String, `engine` String, source String) engine = Memory")
    ask(engine, "insert into file (file, source) values ('disk(1)', 'into outfile')")
    assert ask(engine, "select file, source from file where engine = ''") == "disk(1)\tinto outfile\n"
    assert ask(engine, "select count() from open_table where a like '%file%(%'") == "2\n"
    assert "Atomic" in ask(engine, "show create database default")


def test_a_column_of_an_external_table_calls_no_host(engine: Engine, secret: Path) -> None:
    client = clickhouse_connect.get_client(host="127.0.0.1", port=int(engine.url.rsplit(":", 1)[1]))
    columns = f"a Int8, b String default file('{secret}')"
    table = ExternalData(file_name="t", data=b"1\n", fmt="TSV", structure=columns)
    with pytest.raises(DatabaseError, match="497"):
        client.query("select b from t", external_data=table)


def test_a_statement_nobody_can_read_is_a_syntax_error_of_its_own(engine: Engine) -> None:
    with pytest.raises(HTTPError) as refused:
        ask(engine, "selekt file(1)")
    said = refused.value.read().decode().strip()
    assert (refused.value.status, said[:8], said[-15:]) == (400, "Code: 62", " (SYNTAX_ERROR)")
    assert "formatQuery" not in said


def test_names_of_host_files_are_no_tables(engine: Engine, secret: Path) -> None:
    for name in (f"`{secret}`", f"default.`{secret}`", f"`{os.path.relpath(secret)}`"):
        with pytest.raises(HTTPError) as refused:
            ask(engine, f"select * from {name}")
        assert refused.value.headers["X-ClickHouse-Exception-Code"] == "60"
