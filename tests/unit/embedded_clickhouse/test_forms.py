"""Forms: what a client puts into a structure or a format stays there."""

from pathlib import Path

import pytest

from ingest.embedded.clickhouse.errors import ClickHouseError
from ingest.embedded.clickhouse.forms import FormReader
from ingest.embedded.clickhouse.request import Request, read_request

_HEADERS = [(b"Content-Type", b"multipart/form-data; boundary=B")]
_BODY = (
    b'--B\r\nContent-Disposition: form-data; name="query"\r\n\r\nselect 1\r\n'
    b'--B\r\nContent-Disposition: form-data; name="t"; filename="t"\r\n\r\n1\r\n\n\r\n--B--\r\n'
)


def _request(url: bytes) -> Request:
    return read_request("POST", "/", url, _HEADERS)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_form_is_a_query_settings_and_tables_byte_for_byte_in_any_pieces(size: int, tmp_path: Path) -> None:
    form = FormReader(_request(b"t_types=Int8,Map(Int8,Int8)&t_format=CSV&max_threads=1"), tmp_path)
    for at in range(0, len(_BODY), size):
        form.feed(_BODY[at : at + size])
    request, tables = form.finish()
    assert (request.query, request.settings) == ("select 1", {"max_threads": "1"})
    assert [(one.name, one.structure, one.format, one.file.read_bytes()) for one in tables] == [
        ("t", "_1 Int8, _2 Map(Int8,Int8)", "CSV", b"1\r\n\n")
    ]
    form.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", [20, 110, len(_BODY) - 4])
def test_a_form_cut_short_is_refused_and_leaves_nothing(cut: int, tmp_path: Path) -> None:
    form = FormReader(_request(b"t_types=Int8"), tmp_path)
    form.feed(_BODY[:cut])
    with pytest.raises(ClickHouseError, match="boundary"):
        form.finish()
    form.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        b"",
        b"t_structure=a+Int8)+as+select+(1",
        b"t_structure=a+Int8);drop+table+x--",
        b"t_structure=a+Int8&t_format=CSV;drop+table+x",
    ],
)
def test_a_table_without_structure_or_with_more_than_one_is_refused(url: bytes, tmp_path: Path) -> None:
    form = FormReader(_request(url), tmp_path)
    form.feed(_BODY)
    with pytest.raises(ClickHouseError):
        form.finish()
    form.close()


def test_a_default_format_is_a_name() -> None:
    with pytest.raises(ClickHouseError, match="73"):
        _request(b"default_format=CSV;drop")
