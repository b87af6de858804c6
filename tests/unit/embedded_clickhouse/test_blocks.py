"""ClickHouse's own compression: blocks as its drivers write them, and blocks that are broken."""

import os

import pytest

from ingest.embedded.clickhouse.blocks import BlockReader, BlockWriter, Method, checksum
from ingest.embedded.clickhouse.errors import ClickHouseError

# `1\n` as ClickHouse's compressor writes it in each of its methods.
_DATA = b"1\n" + os.urandom(300_000) + b"x" * 3_000_000


def _read(packed: bytes, step: int = 777, *, is_checked: bool = True) -> bytes:
    reader, pieces = BlockReader(is_checked=is_checked), list[bytes]()
    for at in range(0, len(packed), step):
        reader.feed(packed[at : at + step], pieces.append)
    reader.end()
    return b"".join(pieces)


def _written(method: Method = "LZ4", data: bytes = _DATA) -> bytes:
    writer = BlockWriter(method)
    return writer.compress(data[:5]) + writer.compress(data[5:]) + writer.flush()


@pytest.mark.parametrize("method", ["LZ4", "LZ4HC", "ZSTD", "NONE"])
def test_what_is_written_in_blocks_is_read_from_any_pieces(method: Method) -> None:
    packed = _written(method)
    assert _read(packed) == _DATA
    assert _read(packed, 10_000_000) == _DATA


def test_a_block_is_laid_out_as_clickhouse_does() -> None:
    packed = _written("NONE", b"12345\n")
    assert packed[16:] == b"\x02" + (15).to_bytes(4, "little") + (6).to_bytes(4, "little") + b"12345\n"
    assert packed[:16] == checksum(packed[16:])


def test_nothing_written_is_no_block() -> None:
    assert _written("LZ4", b"") == b""


@pytest.mark.parametrize("at", [0, 15, 30, -1])
def test_a_changed_byte_is_found_by_the_checksum_and_only_then(at: int) -> None:
    packed = bytearray(_written("NONE", b"a" * 100))
    packed[at] ^= 1
    with pytest.raises(ClickHouseError) as refused:
        _read(bytes(packed))
    assert refused.value.code == 40
    assert len(_read(bytes(packed), is_checked=False)) == 100


@pytest.mark.parametrize(
    ("packed", "code"),
    [
        (_written()[:-1], 33),
        (_written()[:20], 33),
        (_written("LZ4", b"a") + _written("ZSTD", b"b"), 271),
        (bytes(16) + b"\x91" + bytes(8), 432),
        (bytes(16) + b"\x82\xff\xff\xff\x7f\x01\x00\x00\x00", 39),
        (bytes(16) + b"\x82\x03\x00\x00\x00\x01\x00\x00\x00", 271),
    ],
    ids=["a byte short", "most of it gone", "two methods", "no method", "too large", "smaller than its head"],
)
def test_a_broken_sequence_of_blocks_has_clickhouse_s_code(packed: bytes, code: int) -> None:
    with pytest.raises(ClickHouseError) as refused:
        _read(packed, 10_000_000)
    assert refused.value.code == code


@pytest.mark.parametrize("method", ["LZ4", "ZSTD", "NONE"])
def test_a_block_that_holds_more_than_it_says_is_refused_without_unpacking_it(method: Method) -> None:
    packed = bytearray(_written(method, bytes(1_000_000)))
    packed[21:25] = (10).to_bytes(4, "little")
    packed[:16] = checksum(bytes(packed[16:]))
    with pytest.raises(ClickHouseError) as refused:
        _read(bytes(packed))
    assert refused.value.code == 271
