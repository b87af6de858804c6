"""Query ids, users, sessions and limits as a client sees them."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest
import urllib3

from ingest.embedded.stack import answers_ok
from tests.integration.embedded_clickhouse.asking import ask, until
from tests.support.servers import Server, free_port, running
from tests.support.shared import Engine

_ENDLESS = "select sum(number) from numbers(1000000000000)"


def _code(error: pytest.ExceptionInfo[HTTPError]) -> str:
    return str(error.value.headers["X-ClickHouse-Exception-Code"])


def _in_background(engine: Engine, sql: str, **parameters: str) -> tuple[threading.Thread, list[str]]:
    ended: list[str] = []

    def run() -> None:
        try:
            ended.append(ask(engine, sql, **parameters))
        except HTTPError as error:
            ended.append(str(error.headers["X-ClickHouse-Exception-Code"]))

    thread = threading.Thread(target=run)
    thread.start()
    return thread, ended


@pytest.fixture(scope="module")
def small_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Engine]]:
    """An engine that runs two queries at a time."""
    folder, port = tmp_path_factory.mktemp("small"), free_port()
    argv = [sys.executable, "-m", "ingest.embedded.clickhouse", "--path", str(folder / "data"), "--port", str(port)]
    with running(
        [*argv, "--max-queries", "2"], folder / "log", lambda: answers_ok(f"http://127.0.0.1:{port}/ping")
    ) as one:
        yield one, Engine(f"http://default@127.0.0.1:{port}", folder / "data", one.pid, one.log)


@pytest.fixture
def small(small_server: tuple[Server, Engine]) -> Engine:
    return small_server[1]


def test_functions_logs_and_the_process_list_say_the_client_s_id_and_user(engine: Engine) -> None:
    said = ask(engine, "select queryID(), currentUser(), user() = currentUser()", query_id="mine-1", user="reader")
    assert said == "mine-1\treader\t1\n"
    ask(engine, " -- said\ncreate table if not exists logged (a Int8) engine = Memory", query_id="mine-2")
    ask(engine, "insert into logged values (1)", query_id="mine-3")
    ask(engine, '{"a": 1}', query="insert into logged format JSONEachRow", query_id="mine-4")
    ask(engine, "select 'mine'", query_id="mine-5", default_format="JSONEachRow")
    ask(engine, "select 1 FORMAT CSV", query_id="mine-6")
    ask(engine, "system flush logs")
    logged = ask(
        engine, "select query_id, query from system.query_log where query_id like 'mine-%' and type = 2 order by 1"
    )
    assert [line.split("\t")[0] for line in logged.splitlines()] == [f"mine-{number}" for number in range(1, 7)]
    assert "mine-4\tinsert into logged format JSONEachRow\n" in logged
    assert logged.endswith("mine-5\tselect \\'mine\\'\nmine-6\tselect 1 FORMAT CSV\n")
    assert "mine-2\t -- said\\ncreate table if not exists logged (a Int8) engine = Memory\n" in logged
    assert all(word not in logged for word in ("OUTFILE", "INFILE", "query_id"))
    assert (
        ask(engine, "select query_id from system.processes where query like '%this very query%'", query_id="p") == "p\n"
    )


def test_logs_and_the_process_list_say_who_asked_and_with_what_program(engine: Engine) -> None:
    # Both were `default` and nothing: on call one could not tell a dashboard's queries from a build's.
    asked = urllib3.PoolManager(headers={"User-Agent": "grafana/12 */ select 'x' /*"})
    url = f"{engine.url.replace('default@', '')}/?user=reader&query_id=by-1"
    told = "select user, initial_user, http_user_agent from system.{} where query_id = 'by-1' limit 1"
    expected = "reader\treader\tgrafana/12 */ select \\'x\\' /*\n"
    assert asked.request("POST", url, body=told.format("processes")).data.decode() == expected
    ask(engine, "system flush logs")
    assert ask(engine, told.format("query_log")) == expected
    assert (
        ask(engine, "select count() from system.query_log where query_id = 'by-1' and query like '%/* by=%'") == "0\n"
    )


def test_queries_are_killed_by_any_condition_on_their_id(engine: Engine) -> None:
    thread, ended = _in_background(engine, _ENDLESS, query_id="long-1")
    until(lambda: "long-1" in ask(engine, "show processlist"))
    ask(engine, "kill query where query_id in ('long-1', 'long-2') sync")
    thread.join(20)
    assert ended == ["394"]


def test_a_session_serves_one_query_at_a_time_and_one_that_is_not_there_is_not_made(engine: Engine) -> None:
    thread, ended = _in_background(engine, _ENDLESS, session_id="busy", query_id="in-session")
    until(lambda: "in-session" in ask(engine, "show processlist"))
    with pytest.raises(HTTPError) as locked:
        ask(engine, "select 1", session_id="busy")
    ask(engine, "kill query where query_id = 'in-session'")
    thread.join(20)
    with pytest.raises(HTTPError) as missing:
        ask(engine, "select 1", session_id="never-made", session_check="1")
    with pytest.raises(HTTPError) as timeout:
        ask(engine, "select 1", session_id="x", session_timeout="forever")
    assert (_code(locked), _code(missing), _code(timeout), ended) == ("373", "372", "374", ["394"])
    assert ask(engine, "select 1", session_id="busy", session_check="1") == "1\n"


def test_a_database_in_the_url_is_of_one_query_and_use_is_of_the_session(engine: Engine) -> None:
    ask(engine, "create database if not exists other")
    in_session = {"session_id": "databases"}
    assert ask(engine, "select currentDatabase()", **in_session, database="other") == "other\n"
    assert ask(engine, "select currentDatabase()", **in_session) == "default\n"
    ask(engine, "use other", **in_session)
    assert ask(engine, "select currentDatabase()", **in_session, database="system") == "system\n"
    assert ask(engine, "select currentDatabase()", **in_session) == "other\n"


def test_queries_beyond_the_limit_are_refused_and_those_that_outlast_a_stop_are_cancelled(
    small: Engine, small_server: tuple[Server, Engine]
) -> None:
    first, last = (_in_background(small, _ENDLESS, query_id=name) for name in ("first", "last"))

    def is_full() -> bool:
        nonlocal first, last
        # One of these very questions may have had the place.
        first = first if not first[1] else _in_background(small, _ENDLESS, query_id="first")
        last = last if not last[1] else _in_background(small, _ENDLESS, query_id="last")
        try:
            ask(small, "select 1")
        except HTTPError as error:
            return bool(error.headers["X-ClickHouse-Exception-Code"] == "202")
        return False

    until(is_full)
    assert small_server[0].stop(60) == 0
    for thread, _ in (first, last):
        thread.join(30)
    assert (first[1], last[1]) == (["394"], ["394"])


def test_a_query_ends_at_its_time_and_the_engine_is_free(engine: Engine) -> None:
    with pytest.raises(HTTPError) as late:
        ask(engine, _ENDLESS, max_execution_time="1")
    assert (_code(late), late.value.status) == ("159", 408)
    assert ask(engine, "select count() from system.processes") == "1\n"


def test_the_system_tables_of_logs_are_the_query_log_alone_and_it_is_bounded(engine: Engine) -> None:
    ask(engine, "system flush logs")
    logs = ask(
        engine,
        "select name, engine_full like '%TTL%3%' from system.tables where database = 'system' and engine ilike '%Tree'",
    )
    assert logs == "query_log\t1\n"


def test_an_insert_for_which_there_is_no_room_says_so(tmp_path: Path) -> None:
    port = free_port()
    argv = [sys.executable, "-m", "ingest.embedded.clickhouse", "--path", str(tmp_path / "data"), "--port", str(port)]
    limited = ["bash", "-c", 'ulimit -f 8192; trap "" XFSZ; exec "$@"', "bash", *argv]
    with running(limited, tmp_path / "log", lambda: answers_ok(f"http://127.0.0.1:{port}/ping")) as server:
        full = Engine(f"http://default@127.0.0.1:{port}", tmp_path / "data", server.pid, server.log)
        ask(full, "create table t (a String) engine = MergeTree order by a")
        with pytest.raises(HTTPError) as refused:
            ask(full, "insert into t format TSV\n" + "x" * (9 << 20) + "\n")
        assert _code(refused) == "243"
        assert "disk" in refused.value.read().decode()
        assert ask(full, "select count() from t") == "0\n"
        assert list((tmp_path / "data" / "spool").iterdir()) == []


def test_readers_are_answered_while_a_long_insert_goes_on(engine: Engine) -> None:
    ask(engine, "create or replace table long (a UInt64) engine = MergeTree order by a")
    ask(engine, "insert into long select number from numbers(1000)")
    slow = "insert into long select number + sleepEachRow(0.001) from numbers(4000) settings max_block_size = 100"
    insert, done = _in_background(engine, slow, query_id="long-insert")
    until(lambda: "long-insert" in ask(engine, "show processlist"))
    readers = [_in_background(engine, "select min(a), max(a) from long") for _ in range(2)]
    for thread, _ in readers:
        thread.join(30)
    assert not done, "the insert ended before the readers were answered"
    assert [told for _, told in readers] == [["0\t999\n"], ["0\t999\n"]]
    insert.join(60)
    assert (done, ask(engine, "select count() from long")) == ([""], "5000\n")
