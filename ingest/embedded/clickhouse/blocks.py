"""ClickHouse's own block compression: `decompress=1` request bodies, `compress=1` answers.

A block: CityHash128 (v1.0.2) of what follows it, method byte, compressed size with these nine bytes, size, data; all
little endian. 0x02 none, 0x82 LZ4, 0x90 ZSTD. One block is in memory at a time, of at most MAX_BLOCK_BYTES.
Hashing runs at 11 GB/s here, so checksums are always written, and checked unless the client asks otherwise.
"""

import struct
from typing import Literal, cast

import clickhouse_cityhash.cityhash as city  # type: ignore[import-untyped]
import lz4.block  # type: ignore[import-untyped]

from ingest.embedded.clickhouse.bodies import Sink, zstd_frames
from ingest.embedded.clickhouse.errors import ClickHouseError

# The drivers' blocks have 64 KiB to 128 MiB; ClickHouse's own limit is 1 GiB.
MAX_BLOCK_BYTES = 256 << 20
# As ClickHouse's write buffer.
_BLOCK_BYTES = 1 << 20

_NONE, _LZ4, _ZSTD = 0x02, 0x82, 0x90
_SUM = struct.Struct("<QQ")
_HEAD = struct.Struct("<BII")
_LOW = (1 << 64) - 1

Method = Literal["LZ4", "LZ4HC", "ZSTD", "NONE"]


def checksum(data: bytes) -> bytes:
    """The 16 bytes before a block."""
    value = cast("int", city.CityHash128(data))
    return _SUM.pack(value >> 64, value & _LOW)


class BlockReader:
    """An Inflater of block after block."""

    def __init__(self, *, is_checked: bool = True) -> None:
        self._is_checked = is_checked
        self._held = bytearray()
        self._method = -1

    def feed(self, data: bytes, sink: Sink) -> None:
        self._held += data
        while (block := self._next()) is not None:
            if block:
                sink(block)

    def end(self) -> None:
        if self._held:
            message = f"Cannot read all data: the last compressed block is cut short after {len(self._held)} bytes"
            raise ClickHouseError(33, "CANNOT_READ_ALL_DATA", message)

    def _next(self) -> bytes | None:
        at = _SUM.size + _HEAD.size
        if len(self._held) < at:
            return None
        method, packed_size, size = _HEAD.unpack_from(self._held, _SUM.size)
        self._judge(method, packed_size, size)
        end = _SUM.size + packed_size
        if len(self._held) < end:
            return None
        body = bytes(self._held[_SUM.size : end])
        if self._is_checked and checksum(body) != self._held[: _SUM.size]:
            message = (
                f"Checksum doesn't match: corrupted data. Reference: {checksum(body).hex()}. "
                f"Actual: {self._held[: _SUM.size].hex()}. Size of compressed block: {packed_size}"
            )
            raise ClickHouseError(40, "CHECKSUM_DOESNT_MATCH", message)
        del self._held[:end]
        return _unpack(method, body[_HEAD.size :], size)

    def _judge(self, method: int, packed_size: int, size: int) -> None:
        if method not in (_NONE, _LZ4, _ZSTD):
            raise ClickHouseError(432, "UNKNOWN_CODEC", f"Unknown codec family code: {method}")
        if self._method not in (-1, method):
            message = (
                f"Data compressed with different methods, given method byte {method:#x}, "
                f"previous method byte {self._method:#x}"
            )
            raise ClickHouseError(271, "CANNOT_DECOMPRESS", message)
        self._method = method
        if packed_size < _HEAD.size:
            message = f"Can't decompress data: the compressed data size ({packed_size}) is less than the header size"
            raise ClickHouseError(271, "CANNOT_DECOMPRESS", message)
        if packed_size > MAX_BLOCK_BYTES or size > MAX_BLOCK_BYTES:
            message = (
                f"Too large size_compressed: {packed_size} bytes for {size}, at most {MAX_BLOCK_BYTES} here; "
                "send smaller blocks"
            )
            raise ClickHouseError(39, "TOO_LARGE_SIZE_COMPRESSED", message)


def _unpack(method: int, data: bytes, size: int) -> bytes:
    try:
        if method == _LZ4:
            block = cast("bytes", lz4.block.decompress(data, uncompressed_size=size))
        elif method == _ZSTD:
            # Of a length given in the frame's head nothing is believed: one byte more than promised is enough to know.
            block = zstd_frames().decompress(data, size + 1)
        else:
            block = data
    except Exception as error:  # noqa: BLE001  # each library has an exception of its own
        raise ClickHouseError(271, "CANNOT_DECOMPRESS", f"Cannot decompress a block: {error}") from None
    if len(block) != size:
        message = f"Cannot decompress a block: {size} bytes promised, {len(block)} found"
        raise ClickHouseError(271, "CANNOT_DECOMPRESS", message)
    return block


class BlockWriter:
    """A Deflater into blocks."""

    def __init__(self, method: Method = "LZ4", zstd_level: int = 3) -> None:
        self._method, self._zstd_level = method, zstd_level
        self._held = bytearray()

    def compress(self, data: bytes) -> bytes:
        if not self._held and len(data) < _BLOCK_BYTES:
            self._held += data
            return b""
        view = memoryview(bytes(self._held) + data if self._held else data)
        whole = len(view) - len(view) % _BLOCK_BYTES
        blocks = [self._block(bytes(view[at : at + _BLOCK_BYTES])) for at in range(0, whole, _BLOCK_BYTES)]
        self._held = bytearray(view[whole:])
        return b"".join(blocks)

    def flush(self) -> bytes:
        """What is left; may be called in the middle, too."""
        rest, self._held = bytes(self._held), bytearray()
        return self._block(rest) if rest else b""

    def _block(self, data: bytes) -> bytes:
        if self._method == "ZSTD":
            import zstandard

            method, packed = _ZSTD, zstandard.ZstdCompressor(level=self._zstd_level).compress(data)
        elif self._method == "NONE":
            method, packed = _NONE, data
        else:
            mode = "high_compression" if self._method == "LZ4HC" else "default"
            method, packed = _LZ4, lz4.block.compress(data, mode=mode, store_size=False)
        body = _HEAD.pack(method, _HEAD.size + len(packed), len(data)) + packed
        return checksum(body) + body
