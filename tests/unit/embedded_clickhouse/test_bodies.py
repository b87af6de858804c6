"""Bodies in every compression, in pieces."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ingest.embedded.clickhouse.bodies import accepted, deflater, inflater
from ingest.embedded.clickhouse.errors import ClickHouseError
from ingest.embedded.clickhouse.intake import ClientGoneError, read_intake
from ingest.embedded.clickhouse.request import read_request

_NAMES = ["gzip", "deflate", "lz4", "zstd", "br", "xz", "bz2"]


def _packed(name: str, data: bytes) -> bytes:
    deflate = deflater(name)
    return deflate.compress(data) + deflate.flush()


@pytest.mark.parametrize("name", _NAMES)
def test_what_is_compressed_comes_back_from_single_bytes(name: str) -> None:
    packed, inflate, pieces = _packed(name, b"abc" * 1000 + b"end"), inflater(name), list[bytes]()
    for i in range(len(packed)):
        inflate.feed(packed[i : i + 1], pieces.append)
    inflate.end()
    assert b"".join(pieces) == b"abc" * 1000 + b"end"


@pytest.mark.parametrize("name", _NAMES)
def test_a_small_body_that_grows_a_thousandfold_comes_in_pieces(name: str) -> None:
    sizes: list[int] = []
    inflate = inflater(name)
    inflate.feed(_packed(name, bytes(50_000_000)), lambda piece: sizes.append(len(piece)))
    inflate.end()
    assert sum(sizes) == 50_000_000
    assert max(sizes) <= 4 << 20


@pytest.mark.parametrize("name", _NAMES)
def test_a_compressed_body_cut_short_is_no_smaller_body(name: str) -> None:
    inflate = inflater(name)
    inflate.feed(_packed(name, os.urandom(5_000))[:-30], lambda _: None)
    with pytest.raises(ClickHouseError, match="before its last frame"):
        inflate.end()


@pytest.mark.parametrize("name", [name for name in _NAMES if name not in ("br", "deflate")])
def test_frames_one_after_the_other_are_one_body(name: str) -> None:
    pieces, inflate = list[bytes](), inflater(name)
    inflate.feed(_packed(name, b"one") + _packed(name, b"two"), pieces.append)
    inflate.end()
    assert b"".join(pieces) == b"onetwo"


def test_only_what_the_client_takes_is_answered() -> None:
    assert accepted("deflate, gzip;q=0.8") == "gzip"
    assert accepted("gzip, zstd, br") == "zstd"
    assert accepted("zstd;q=0, gzip") == "gzip"
    assert accepted("identity") == ""


def _body(*pieces: bytes, is_whole: bool = True) -> Any:
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.request", "body": b""} if is_whole else {"type": "http.disconnect"})
    left = iter(messages)

    async def receive() -> Any:
        return next(left)

    return receive


def test_an_insert_s_body_goes_to_a_file_whatever_its_pieces(tmp_path: Path) -> None:
    request = read_request("POST", "/", b"", [])
    data = bytes(range(256)) * 4000
    text = b"insert into t format Native\n" + data
    pieces = [text[i : i + 999] for i in range(0, len(text), 999)]
    with ThreadPoolExecutor(1) as threads:
        intake = asyncio.run(read_intake(request, _body(*pieces), tmp_path, threads))
    with intake:
        assert intake.file is not None
        assert intake.file.read_bytes() == data
    assert list(tmp_path.iterdir()) == []


def test_an_insert_cut_short_leaves_nothing(tmp_path: Path) -> None:
    request = read_request("POST", "/", b"query=insert+into+t+format+CSV", [])
    with ThreadPoolExecutor(1) as threads, pytest.raises(ClientGoneError):
        asyncio.run(read_intake(request, _body(b"1\n" * 200_000, b"2", is_whole=False), tmp_path, threads))
    assert list(tmp_path.iterdir()) == []


def test_a_broken_compression_is_an_exception_with_a_code(tmp_path: Path) -> None:
    request = read_request("POST", "/", b"", [(b"content-encoding", b"gzip")])
    with ThreadPoolExecutor(1) as threads, pytest.raises(ClickHouseError) as refused:
        asyncio.run(read_intake(request, _body(b"no gzip"), tmp_path, threads))
    assert refused.value.code == 354
