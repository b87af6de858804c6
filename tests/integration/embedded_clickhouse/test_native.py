"""Native blocks of a protocol revision: every type is walked to the byte, and reads as the same values."""

import http.client
from urllib.parse import urlencode

import clickhouse_connect
import pytest
from clickhouse_connect import common

from ingest.embedded.clickhouse.native import NativeRevision
from tests.support.shared import Engine

_COLUMNS = [
    "number",
    "toString(number), repeat('é', 200)",
    "number % 2 ? NULL : toString(number)",
    "toFixedString('abc', 5), toDecimal256(number, 3), toInt128(number), toIPv6('::1'), generateUUIDv4()",
    "[[number, 1], []], [toString(number)], []::Array(String)",
    "map('k', number), map(toLowCardinality('a'), [toLowCardinality(toNullable('b')), NULL])",
    "tuple(number, 'x'), (1, 'y')::Tuple(a UInt8, `b c` String), tuple()",
    "[(1, 'x')]::Nested(a UInt8, b String)",
    "toLowCardinality(toString(number)), toLowCardinality(toNullable('x'))",
    "number % 2 ? 'a'::Variant(String, UInt64, Array(String)) : number::UInt64::Variant(String, UInt64, Array(String))",
    "toString(number)::Dynamic, [number::Dynamic, 'x'::Dynamic, NULL::Dynamic]",
    """'{"a": {"b": 1}, "c": ["x", 2.5]}'::JSON, '{"a": 1, "d": "y", "e": 2}'::JSON(max_dynamic_paths=1, `d` String)""",
    "[map('k', '{\"a\": [{\"b\": 1}]}'::JSON)]",
    "(1., 2.)::Point::Geometry, [(1., 2.)]::MultiPoint::Geometry, [(1., 2.)]::Ring::Geometry, [(1., 2.)]::MultiPoint",
    "(1., 2.)::Point, [(1., 2.)]::Ring, [[(1., 2.)]]::Polygon",
    "toIntervalDay(1), 'a'::Enum8('a' = 1, 'b,(c' = 2), true, NULL, now64(9), today(), toDate32(today())",
    "CAST(number, 'SimpleAggregateFunction(sum, UInt64)')",
]
_SETTINGS = [
    "",
    "output_format_native_use_flattened_dynamic_and_json_serialization",
    "output_format_native_write_json_as_string",
]


def _ask(engine: Engine, sql: str, **parameters: str) -> bytes:
    connection = http.client.HTTPConnection(engine.url.rpartition("@")[2], timeout=60)
    connection.request("POST", f"/?{urlencode(parameters)}", sql.encode())
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    return answer.read()


@pytest.mark.parametrize("setting", _SETTINGS)
@pytest.mark.parametrize("columns", _COLUMNS)
def test_a_column_is_walked_to_its_last_byte_in_any_pieces(engine: Engine, columns: str, setting: str) -> None:
    chosen = f" settings max_block_size = 700{f', {setting} = 1' if setting else ''}"
    # A value behind the columns: were one byte of them miscounted, it would not be found.
    raw = _ask(engine, f"select {columns}, 'end' as last from numbers(1500){chosen} format Native")
    results = []
    for size in (1 << 20, 1013, 1):
        revision = NativeRevision(54460, dict)
        part = raw if size > 1 else raw[:20_000]
        out = [revision.compress(part[at : at + size]) for at in range(0, len(part), size)]
        results.append((b"".join(out), revision.flush()))
    assert results[0][1] == b""
    assert results[1] == results[0]
    assert results[0][0].startswith(results[2][0])
    assert results[0][0].count(b"\x04last\x06String\x00\x03end") == results[0][0].count(
        b"\x01\x00\x02\xff\xff\xff\xff\x00"
    )


@pytest.mark.parametrize("columns", [one for one in _COLUMNS if "generateUUIDv4" not in one and "::" not in one])
def test_clickhouse_connect_reads_the_same_with_a_revision_as_without(engine: Engine, columns: str) -> None:
    host, _, port = engine.url.rpartition("@")[2].partition(":")
    rows = []
    for is_used in (True, False):
        common.set_setting("use_protocol_version", is_used)
        try:
            client = clickhouse_connect.get_client(host=host, port=int(port))
        finally:
            common.set_setting("use_protocol_version", True)
        assert bool(client.protocol_version) is is_used
        rows.append(client.query(f"select {columns}, 'end' from numbers(1000)").result_rows)
    assert rows[0] == rows[1]
    assert len(rows[0]) == 1000
