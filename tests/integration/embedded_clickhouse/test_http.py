"""ClickHouse's HTTP interface byte by byte: what its drivers rely on and no client library shows."""

import http.client
import json
import socket
import struct
import urllib.request
from urllib.error import HTTPError
from urllib.parse import urlencode

import pytest

from ingest.embedded.clickhouse.blocks import BlockReader, BlockWriter
from tests.support.shared import Engine


def _host(engine: Engine) -> str:
    return engine.url.rpartition("@")[2]


def _ask(
    engine: Engine, body: bytes | str, headers: dict[str, str] | None = None, **parameters: str
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers by lower-case name, body as it came."""
    connection = http.client.HTTPConnection(_host(engine), timeout=60)
    try:
        raw = body.encode() if isinstance(body, str) else body
        connection.request("POST", f"/?{urlencode(parameters)}", raw, headers or {})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def _unblocked(data: bytes) -> bytes:
    reader, pieces = BlockReader(), list[bytes]()
    reader.feed(data, pieces.append)
    reader.end()
    return b"".join(pieces)


def _raw(engine: Engine, request: bytes) -> bytes:
    """Everything a server sends until it closes the connection."""
    host, _, port = _host(engine).partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as line:
        line.sendall(request)
        return b"".join(iter(lambda: line.recv(1 << 16), b""))


@pytest.mark.parametrize("method", ["LZ4", "ZSTD", "NONE"])
def test_an_answer_in_blocks_is_the_answer(engine: Engine, method: str) -> None:
    sql = "select number, repeat('x', number % 100) from numbers(100000)"
    plain = _ask(engine, sql)[2]
    packed = _ask(engine, sql, compress="1", network_compression_method=method)[2]
    assert packed[16] == {"LZ4": 0x82, "ZSTD": 0x90, "NONE": 0x02}[method]
    assert _unblocked(packed) == plain
    assert _unblocked(_ask(engine, "select * from nowhere", compress="1")[2]).startswith(b"Code: 60.")


def test_a_body_in_blocks_is_a_query_or_an_insert_and_its_checksum_counts(engine: Engine) -> None:
    _ask(engine, "create or replace table packed (a UInt32) engine = MergeTree order by a")
    writer = BlockWriter("ZSTD")
    text = b"insert into packed format TSV\n" + b"".join(b"%d\n" % i for i in range(300_000))
    packed = writer.compress(text) + writer.flush()
    assert _ask(engine, packed, decompress="1")[0] == 200
    assert _ask(engine, "select count(), sum(a) from packed")[2] == b"300000\t44999850000\n"
    broken = bytes([packed[0] ^ 1]) + packed[1:]
    status, headers, _ = _ask(engine, broken, decompress="1")
    assert (status, headers["x-clickhouse-exception-code"]) == (500, "40")
    unchecked = _ask(
        engine, broken, None, decompress="1", http_native_compression_disable_checksumming_on_decompress="1"
    )
    assert unchecked[0] == 200
    assert _ask(engine, packed[:-9], decompress="1")[1]["x-clickhouse-exception-code"] == "33"
    assert _ask(engine, "select count() from packed")[2] == b"600000\n"


def test_a_half_sent_compressed_insert_is_no_insert(engine: Engine) -> None:
    import gzip

    _ask(engine, "create or replace table half (a UInt32) engine = MergeTree order by a")
    packed = gzip.compress(b"".join(b"%d\n" % i for i in range(100_000)))
    status, headers, _ = _ask(engine, packed[:-100], {"content-encoding": "gzip"}, query="insert into half format TSV")
    assert (status, headers["x-clickhouse-exception-code"]) == (500, "354")
    assert _ask(engine, "select count() from half")[2] == b"0\n"


def test_a_summary_tells_what_was_read_written_and_given(engine: Engine) -> None:
    _ask(engine, "create or replace table summed (a UInt32) engine = MergeTree order by a")
    written = json.loads(_ask(engine, "insert into summed format TSV\n1\n2\n3\n")[1]["x-clickhouse-summary"])
    assert (written["written_rows"], written["read_rows"], written["result_rows"]) == ("3", "3", "3")
    read = json.loads(_ask(engine, "select sum(number) from numbers(100000)")[1]["x-clickhouse-summary"])
    assert (read["read_rows"], read["read_bytes"], read["result_rows"]) == ("100000", "800000", "1")
    assert int(read["elapsed_ns"]) > 0


def test_progress_comes_in_headers_while_the_query_runs(engine: Engine) -> None:
    settings = urlencode({"send_progress_in_http_headers": "1", "http_headers_progress_interval_ms": "50"})
    sql = b"select sum(sleepEachRow(0.1)) from numbers(10) settings max_block_size = 1"
    head = b"POST /?%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    answer = _raw(engine, head % (settings.encode(), len(sql)) + sql)
    top, _, body = answer.partition(b"\r\n\r\n")
    lines = top.split(b"\r\n")
    told = [json.loads(line.partition(b": ")[2]) for line in lines if line.startswith(b"X-ClickHouse-Progress: ")]
    assert lines[0] == b"HTTP/1.1 200 OK"
    assert [one for one in told if 0 < int(one.get("read_rows", 0)) < 10]
    assert any(line.lower().startswith(b"x-clickhouse-summary") for line in lines)
    assert body.endswith(b"0\r\n\r\n")


def test_a_query_that_fails_after_its_progress_and_before_its_result_is_a_whole_error(engine: Engine) -> None:
    # The official JavaScript client looks for the code on a 200 and then reads the body to its end.
    settings = urlencode({"send_progress_in_http_headers": "1", "http_headers_progress_interval_ms": "20"})
    sql = b"select sum(sleepEachRow(0.1) + throwIf(number = 4, 'boom')) from numbers(10) settings max_block_size = 1"
    head = b"POST /?%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    answer = _raw(engine, head % (settings.encode(), len(sql)) + sql)
    top, _, body = answer.partition(b"\r\n\r\n")
    assert b"\r\nx-clickhouse-exception-code: 395" in top
    assert b"Code: 395. DB::Exception: boom" in body
    assert b"__exception__" not in body
    assert body.endswith(b"0\r\n\r\n")


def test_an_exception_in_the_middle_breaks_the_encoding_and_is_framed(engine: Engine) -> None:
    sql = b"select number, throwIf(number = 3000000, 'boom') from numbers(4000000)"
    answer = _raw(engine, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(sql) + sql)
    tag = next(line for line in answer.split(b"\r\n") if line.startswith(b"x-clickhouse-exception-tag")).split(b": ")[1]
    assert len(tag) == 16
    _, _, frame = answer.rpartition(b"\r\n__exception__\r\n" + tag + b"\r\n")
    message, _, size = frame.partition(b" " + tag)[0].rpartition(b"\n")
    assert message.startswith(b"Code: 395.")
    assert int(size) == len(message) + 1
    assert not answer.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    ("sql", "code", "status"),
    [
        ("select * from nowhere", 60, 404),
        ("selec", 62, 400),
        ("select sleep(3) settings max_execution_time = 1, function_sleep_max_microseconds_per_block = 0", 159, 408),
        ("select 1 format Nonsense", 73, 404),
        ("select toDateTime('x')", 41, 400),
        ("select throwIf(1)", 395, 500),
    ],
)
def test_statuses_are_clickhouse_s(engine: Engine, sql: str, code: int, status: int) -> None:
    answer = _ask(engine, sql)
    assert (answer[0], answer[1]["x-clickhouse-exception-code"]) == (status, str(code))


def test_content_types_are_the_engine_s_own(engine: Engine) -> None:
    for name in ("JSON", "JSONEachRow", "CSVWithNames", "XML", "Parquet", "Markdown", "Native", "TSV"):
        answer = _ask(engine, f"select 1 as a format {name}")[1]
        told = _ask(engine, f"select content_type from system.formats where name = '{name}'")[2].decode().rstrip()
        assert (answer["x-clickhouse-format"], answer["content-type"]) == (name, told)


def test_headers_name_the_database_the_format_and_the_query(engine: Engine) -> None:
    given = {"X-ClickHouse-Database": "system", "X-ClickHouse-Format": "JSONEachRow", "X-ClickHouse-Query-Id": "mine"}
    _, headers, body = _ask(engine, "select currentDatabase() as d", given)
    assert (json.loads(body), headers["x-clickhouse-query-id"]) == ({"d": "system"}, "mine")
    assert _ask(engine, "select 1")[1]["x-clickhouse-timezone"] == "UTC"
    assert _ask(engine, "select 1", session_timezone="Asia/Tokyo")[1]["x-clickhouse-timezone"] == "Asia/Tokyo"
    assert _ask(engine, "select 1", session_timezone="a\r\nX: b")[1].get("x") is None
    own = _ask(engine, "select 1", http_response_headers="{'Content-Type': 'image/png', 'X-Own': 'a'}")[1]
    assert (own["content-type"], own["x-own"]) == ("image/png", "a")
    assert _ask(engine, "select 1", http_response_headers="{'X': 'a\r\nY: b'}")[0] == 400


def test_preflights_health_checks_and_unknown_places(engine: Engine) -> None:
    line = http.client.HTTPConnection(_host(engine), timeout=30)
    seen = {}
    for method, path in (
        ("OPTIONS", "/"), ("GET", "/ping"), ("HEAD", "/ping"), ("GET", "/replicas_status"), ("GET", "/"),
        ("GET", "/nowhere"), ("PUT", "/"), ("HEAD", "/?query=select+1"), ("GET", "/?query=create+table+x+(a+Int8)"),
    ):  # fmt: skip
        line.request(method, path)
        answer = line.getresponse()
        seen[method, path] = (answer.status, answer.read()[:4])
    assert list(seen.values()) == [
        (204, b""), (200, b"Ok.\n"), (200, b""), (200, b"Ok.\n"), (200, b"Ok.\n"),
        (404, b"Ther"), (404, b"Ther"), (200, b""), (500, b"Code"),
    ]  # fmt: skip


def test_only_pages_of_this_host_may_read_answers(engine: Engine) -> None:
    for origin, allowed in (("http://localhost:3000", "http://localhost:3000"), ("https://example.com", None)):
        headers = _ask(engine, "select 1", {"Origin": origin}, add_http_cors_header="1")[1]
        assert headers.get("access-control-allow-origin") == allowed


def test_a_post_without_a_length_is_refused_and_one_in_chunks_is_not(engine: Engine) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    assert b" 411 " in _raw(engine, head + b"\r\n").partition(b"\r\n")[0]
    body = b"Transfer-Encoding: chunked\r\n\r\n4\r\nsele\r\n4\r\nct 7\r\n0\r\n\r\n"
    assert _raw(engine, head + body).endswith(b"\r\n\r\n7\n")


def test_a_client_that_waits_for_100_is_told_to_go_on(engine: Engine) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 8\r\n\r\n"
    assert _raw(engine, head + b"select 7").startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


def test_input_reads_the_body_of_an_insert_select(engine: Engine) -> None:
    _ask(engine, "create or replace table summed (a UInt32, s String) engine = MergeTree order by a")
    sql = "insert into summed select a * 2, upper(s) from input('a UInt32, s String') format CSV\n1,x\n2,y\n"
    assert _ask(engine, sql)[0] == 200
    assert _ask(engine, "1,z\n", query=sql.partition("\n")[0])[0] == 200
    assert _ask(engine, "select a, s from summed order by all")[2] == b"2\tX\n2\tZ\n4\tY\n"


@pytest.mark.parametrize(("user", "session"), [("default", {}), ("reader", {"session_id": "read"})])
def test_an_external_table_beyond_32_mib_is_read_by_readers_too(
    engine: Engine, user: str, session: dict[str, str]
) -> None:
    data = b"".join(b"%d\n" % i for i in range(4_500_000))
    assert len(data) > 32 << 20
    form = (
        b'--B\r\nContent-Disposition: form-data; name="query"\r\n\r\nselect count(), sum(a) from big\r\n'
        b'--B\r\nContent-Disposition: form-data; name="big"; filename="big"\r\n\r\n' + data + b"\r\n--B--\r\n"
    )
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    answer = _ask(engine, form, headers, user=user, big_structure="a UInt32", **session)
    assert (answer[0], answer[2]) == (200, b"4500000\t10124997750000\n")


def test_what_a_client_asks_to_hold_back_has_the_status_of_its_end(engine: Engine) -> None:
    sql = "select number, throwIf(number = 1000000) from numbers(2000000)"
    assert _ask(engine, sql, http_response_buffer_size="100000000")[0] == 500
    assert _ask(engine, sql, http_wait_end_of_query="1")[0] == 500


def test_every_kind_of_explain_is_answered_with_the_query_s_own_words(engine: Engine) -> None:
    for kind in ("AST", "SYNTAX", "PLAN", "PIPELINE", "QUERY TREE", ""):
        text = _ask(engine, f"explain {kind} select 1")[2]
        assert text
        assert b"/dev/fd" not in text


def test_blocks_of_a_protocol_revision_have_what_it_added(engine: Engine) -> None:
    sql = "select toDateTime(0, 'Europe/Berlin') as t, 'a' as s, toDateTime(0, 'Asia/Tokyo') as u format Native"
    head = b"\x01\x00\x02\xff\xff\xff\xff\x00\x03\x01"
    berlin, tokyo = b"\x19DateTime('Europe/Berlin')", b"\x16DateTime('Asia/Tokyo')"
    zero = struct.pack("<I", 0)
    body = _ask(engine, sql, client_protocol_version="54460")[2]
    assert body == (
        head + b"\x01t" + berlin + b"\x00" + zero + b"\x01s\x06String\x00\x01a" + b"\x01u" + tokyo + b"\x00" + zero
    )
    older = _ask(engine, sql, client_protocol_version="54405")[2]
    assert older == head + b"\x01t" + berlin + zero + b"\x01s\x06String\x01a" + b"\x01u" + tokyo + zero
    assert _ask(engine, sql)[2].startswith(b"\x03\x01\x01t\x08DateTime")
    unknown = _ask(engine, "select uniqState(1) format Native", client_protocol_version="54460")
    assert (unknown[0], unknown[1]["x-clickhouse-exception-code"]) == (501, "48")


def test_a_page_s_answer_is_compressed_as_its_reader_likes(engine: Engine) -> None:
    for encoding in ("gzip", "zstd", "br", "lz4", "deflate", "xz", "bz2"):
        headers = _ask(engine, "select 1", {"Accept-Encoding": encoding})[1]
        assert headers["content-encoding"] == encoding
    assert (
        "content-encoding" not in _ask(engine, "select 1", {"Accept-Encoding": "gzip"}, enable_http_compression="0")[1]
    )


def test_an_unreadable_parameter_is_named(engine: Engine) -> None:
    with pytest.raises(HTTPError) as refused:
        urllib.request.urlopen(f"http://{_host(engine)}/?query=select+1&compress=maybe", timeout=30)
    assert b"compress" in refused.value.read()


def test_every_setting_can_be_sent_as_it_is(engine: Engine) -> None:
    # A client that reads system.settings and sends one back, as the official JavaScript client's suite does with all.
    names = "'max_threads', 'run_query_in_background', 'session_timezone', 'join_algorithm'"
    told = _ask(engine, f"select name, default from system.settings where name in ({names}) format TSV".encode())[2]
    settings: dict[str, str] = {}
    for line in told.decode().splitlines():
        name, _, default = line.partition("\t")
        settings[name] = default
    assert len(settings) == 4
    for name, value in settings.items():
        assert _ask(engine, b"select 1", None, **{name: value})[0] == 200, name


def test_a_string_may_hold_bytes_that_are_no_text(engine: Engine) -> None:
    # Escapes were spelled out while the statement was judged, and the judge wanted text: code 1001.
    for sql in (rb"select '\xC0\xC1' as t format TSVRaw", b"select '\xc0\xc1' as t format TSVRaw"):
        assert _ask(engine, sql)[::2] == (200, b"\xc0\xc1\n")
    assert _ask(engine, rb"select '\xC0\xC1' as t, url('http://127.0.0.1/', TSV, 'a Int8')")[0] != 200
    assert _ask(engine, rb"select * from file('\xC0', TSV, 'a Int8')")[0] != 200
