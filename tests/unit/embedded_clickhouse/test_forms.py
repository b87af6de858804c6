"""Forms: what a client puts into a structure or a format stays there."""

import pytest

from ingest.embedded.clickhouse.errors import ClickHouseError
from ingest.embedded.clickhouse.forms import read_form
from ingest.embedded.clickhouse.request import Request, read_request

_HEADERS = [(b"Content-Type", b"multipart/form-data; boundary=B")]
_BODY = (
    b'--B\r\nContent-Disposition: form-data; name="query"\r\n\r\nselect 1\r\n'
    b'--B\r\nContent-Disposition: form-data; name="t"; filename="t"\r\n\r\n1\r\n\n\r\n--B--\r\n'
)


def _request(url: bytes) -> Request:
    return read_request("POST", "/", url, _HEADERS)


def test_a_form_is_a_query_settings_and_tables_byte_for_byte() -> None:
    request, tables = read_form(_request(b"t_types=Int8,Map(Int8,Int8)&t_format=CSV&max_threads=1"), _BODY)
    assert (request.query, request.settings) == ("select 1", {"max_threads": "1"})
    assert [(one.name, one.structure, one.format, one.data) for one in tables] == [
        ("t", "_1 Int8, _2 Map(Int8,Int8)", "CSV", b"1\r\n\n")
    ]


@pytest.mark.parametrize(
    "url",
    [
        b"",
        b"t_structure=a+Int8)+as+select+(1",
        b"t_structure=a+String+default+file('/etc/passwd')",
        b"t_structure=a+Int8);drop+table+x--",
        b"t_structure=a+Int8&t_format=CSV;drop+table+x",
    ],
)
def test_a_table_without_structure_or_with_more_than_one_is_refused(url: bytes) -> None:
    with pytest.raises(ClickHouseError):
        read_form(_request(url), _BODY)


def test_a_default_format_is_a_name() -> None:
    with pytest.raises(ClickHouseError, match="73"):
        _request(b"default_format=CSV;drop")
