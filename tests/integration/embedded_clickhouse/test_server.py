"""The embedded engine as clients and operators meet it."""

import io
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError
from clickhouse_connect.driver.external import ExternalData

from ingest.embedded.stack import answers_ok
from tests.support.servers import free_port
from tests.support.shared import Engine


def _address(engine: Engine) -> str:
    return engine.url.replace("default@", "")


def _post(url: str, sql: str, **parameters: str) -> str:
    request = urllib.request.Request(f"{url}/?{urlencode(parameters)}", data=sql.encode())  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return str(answer.read().decode())


def _client(engine: Engine, **more: str) -> Client:
    return clickhouse_connect.get_client(host="127.0.0.1", port=int(engine.url.rsplit(":", 1)[1]), **more)  # type: ignore[arg-type]


def test_what_is_inserted_in_any_compression_is_read_back_once_a_token(engine: Engine) -> None:
    client = _client(engine)
    client.command(
        "create or replace table ins (a UInt64, s String) engine = MergeTree order by a "
        "settings non_replicated_deduplication_window = 100"
    )
    lines = b"".join(json.dumps({"a": i, "s": "it's; format"}).encode() + b"\n" for i in range(20_000))
    for token in ("one", "one", "two"):
        client.raw_insert(
            "ins", insert_block=io.BytesIO(lines), fmt="JSONEachRow", settings={"insert_deduplication_token": token}
        )
    for number, compression in enumerate((True, False, "lz4", "zstd", "gzip", "br"), start=1_000_000):
        one = _client(engine, compress=compression)  # type: ignore[arg-type]
        one.insert("ins", [[number, "ü"]], column_names=["a", "s"])
        assert one.query(f"select s from ins where a = {number}").result_rows == [("ü",)]
    assert client.query("select count(), uniqExact(a) from ins").result_rows == [(40_006, 20_006)]


def test_an_exception_in_the_middle_of_a_stream_reaches_the_client(engine: Engine) -> None:
    with (
        pytest.raises(StreamFailureError, match="Code: 395"),
        _client(engine).query_row_block_stream(
            "select number, throwIf(number = 9000000) from numbers(10000000)"
        ) as rows,
    ):
        for _ in rows:
            pass


def test_an_exception_has_clickhouse_s_code_status_and_the_client_s_own_text(engine: Engine) -> None:
    with pytest.raises(HTTPError) as refused:
        _post(_address(engine), "select * from nowhere")
    assert refused.value.status == 404
    assert refused.value.headers["X-ClickHouse-Exception-Code"] == "60"
    body = refused.value.read().decode()
    assert "(UNKNOWN_TABLE)" in body
    assert "OUTFILE" not in body


def test_an_answer_waited_for_to_its_end_has_the_status_of_its_end(engine: Engine) -> None:
    url = _address(engine)
    with pytest.raises(HTTPError, match="500"):
        _post(url, "select throwIf(number = 9000000) from numbers(10000000)", wait_end_of_query="1")
    whole = _post(url, "select number from numbers(1000000)", wait_end_of_query="1")
    assert whole == _post(url, "select number from numbers(1000000)")
    assert _post(url, "select 1 where 0", wait_end_of_query="1") == ""


def test_a_session_keeps_tables_and_settings_and_a_url_setting_holds_for_one_query(engine: Engine) -> None:
    url = _address(engine)
    _post(url, "create temporary table tt (a Int8)", session_id="one")
    _post(url, "insert into tt values (7)", session_id="one")
    _post(url, "set max_threads = 1", session_id="one")
    assert _post(url, "select a, getSetting('max_threads') from tt", session_id="one", max_threads="2") == "7\t2\n"
    assert _post(url, "select a, getSetting('max_threads') from tt", session_id="one") == "7\t1\n"
    with pytest.raises(HTTPError, match="500") as refused:
        _post(url, "select 1", session_id="unknown", session_check="1")
    assert refused.value.headers["X-ClickHouse-Exception-Code"] == "372"


def test_a_running_query_ends_by_kill_by_time_and_by_its_client_going_away(engine: Engine) -> None:
    url, endless = _address(engine), "select sum(number) from numbers(1000000000000)"
    ended: list[str] = []

    def run() -> None:
        try:
            _post(url, endless, query_id="victim")
        except HTTPError as error:
            ended.append(error.read().decode())

    thread = threading.Thread(target=run)
    thread.start()
    _until(lambda: "victim" in _post(url, "show processlist"))
    with pytest.raises(HTTPError):
        _post(url, "select 1", query_id="victim")
    _post(url, "kill query where query_id = 'victim'")
    thread.join(20)
    assert "QUERY_WAS_CANCELLED" in ended[0]
    with pytest.raises(HTTPError, match="408"):
        _post(url, endless, max_execution_time="1")
    with pytest.raises(TimeoutError):
        urllib.request.urlopen(f"{url}/?{urlencode({'query': endless, 'query_id': 'left'})}", timeout=0.5)  # noqa: S310
    _until(lambda: "query_id=left" not in _post(url, "show processlist"))


def test_external_tables_are_there_for_their_query_alone(engine: Engine) -> None:
    client = _client(engine)
    one = ExternalData(file_name="ids", data=b"1\ta,b\n3\tc\n", fmt="TSV", structure=["a UInt8", "s String"])
    assert client.query("select sum(a), max(s) from ids", external_data=one).result_rows == [(4, "c")]
    two = ExternalData(file_name="ids", data=b"7,8\n", fmt="CSV", types=["UInt8", "Decimal(9, 2)"])
    two_rows = client.query("select _1 + {x:UInt8} from ids", external_data=two, parameters={"x": 2}).result_rows
    assert two_rows == [(9,)]
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        client.query("select * from ids")


def test_a_reader_reads_and_can_do_no_more(engine: Engine) -> None:
    reader = _client(engine, username="reader")
    assert reader.query("select 1").result_rows == [(1,)]
    for sql in ("create table r (a Int8) engine = Memory", "select 1 settings readonly = 0", "set readonly = 0"):
        with pytest.raises(DatabaseError, match="164"):
            reader.command(sql)
    with pytest.raises(DatabaseError, match="497"):
        reader.command("select * from file('/etc/passwd', 'LineAsString')")


def test_a_long_result_streams_in_bounded_memory(engine: Engine) -> None:
    url, pid = _address(engine), engine.pid
    _post(url, "select 1")
    before = _peak_kb(pid)
    request = urllib.request.Request(f"{url}/", data=b"select * from numbers(60000000) format RowBinary")  # noqa: S310
    size = 0
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        while chunk := answer.read(1 << 20):
            size += len(chunk)
    assert size == 480_000_000
    assert _peak_kb(pid) - before < 200_000


def test_one_owner_a_taken_port_and_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    port = free_port()
    argv = [sys.executable, "-m", "ingest.embedded.clickhouse", "--path", str(tmp_path / "d"), "--port"]
    url = f"http://127.0.0.1:{port}"
    start = tmp_path / "start"
    start.mkdir()
    first = subprocess.Popen([*argv, str(port)], stdout=subprocess.DEVNULL, cwd=start)
    try:
        _until(lambda: answers_ok(f"{url}/ping"))
        # The directory it was started in is nothing to it.
        start.rmdir()
        taken = subprocess.run([*argv, str(port)], capture_output=True, text=True, timeout=30, check=False)
        assert (taken.returncode, f"127.0.0.1:{port}" in taken.stderr) == (1, True)
        second = subprocess.run([*argv, str(free_port())], capture_output=True, text=True, timeout=30, check=False)
        assert (second.returncode, f"process {first.pid}" in second.stderr) == (1, True)
        _post(url, "create table k (a UInt64) engine = MergeTree order by a")
        _post(url, "insert into k select number from numbers(1000)")
        first.kill()
        first.wait(10)
        first = subprocess.Popen([*argv, str(port)], stdout=subprocess.DEVNULL)
        _until(lambda: answers_ok(f"{url}/ping"))
        assert _post(url, "select count() from k") == "1000\n"
        answers: list[str] = []
        slow = threading.Thread(target=lambda: answers.append(_post(url, "select sleep(2)")))
        slow.start()
        _until(lambda: "sleep(2)" in _post(url, "show processlist"))
        first.terminate()
        assert first.wait(30) == 0
        slow.join(10)
        assert answers == ["0\n"]
    finally:
        first.kill()
        first.wait(10)


def _peak_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("memory is read from /proc")
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))


def _until(holds: object) -> None:
    deadline = time.monotonic() + 30
    assert callable(holds)
    while not holds():
        assert time.monotonic() < deadline, f"{holds} did not come true (pid {os.getpid()})"
        time.sleep(0.05)
