"""Request bodies: decompressed as they come, the head in memory, an insert's data in a file.

Nothing here waits for the engine; what a compression refuses is a ClickHouseError.
"""

import zlib
from typing import Protocol, cast

from ingest.embedded.clickhouse.errors import ClickHouseError


class Inflater(Protocol):
    """Decompresses piece by piece."""

    def decompress(self, data: bytes, /) -> bytes: ...


class _Identity:
    def decompress(self, data: bytes, /) -> bytes:
        return data


class _Brotli:
    def __init__(self) -> None:
        import brotli  # type: ignore[import-untyped]

        self._inner = brotli.Decompressor()

    def decompress(self, data: bytes, /) -> bytes:
        return cast("bytes", self._inner.process(data))


def inflater(encoding: str) -> Inflater:
    """The decompressor of a Content-Encoding."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return _Identity()
    if name in ("gzip", "x-gzip"):
        return zlib.decompressobj(31)
    if name == "deflate":
        return zlib.decompressobj()
    if name == "lz4":
        import lz4.frame  # type: ignore[import-untyped]

        return cast("Inflater", lz4.frame.LZ4FrameDecompressor())
    if name == "zstd":
        import zstandard

        return zstandard.ZstdDecompressor().decompressobj(read_across_frames=True)
    if name == "br":
        return _Brotli()
    message = f"Unknown Content-Encoding '{encoding}', expected gzip, deflate, br, lz4 or zstd"
    raise ClickHouseError(48, "NOT_IMPLEMENTED", message)


class Deflater(Protocol):
    """Compresses piece by piece."""

    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class _Lz4:
    def __init__(self) -> None:
        import lz4.frame

        self._inner = lz4.frame.LZ4FrameCompressor()
        self._head: bytes = self._inner.begin()

    def compress(self, data: bytes, /) -> bytes:
        head, self._head = self._head, b""
        return head + cast("bytes", self._inner.compress(data))

    def flush(self) -> bytes:
        head, self._head = self._head, b""
        return head + cast("bytes", self._inner.flush())


class _BrotliOut:
    def __init__(self) -> None:
        import brotli

        self._inner = brotli.Compressor(quality=3)

    def compress(self, data: bytes, /) -> bytes:
        return cast("bytes", self._inner.process(data))

    def flush(self) -> bytes:
        return cast("bytes", self._inner.finish())


def accepted(accept_encoding: str) -> str:
    """The compression to answer in, of those a client takes; ClickHouse's own order, '' for none."""
    taken = {part.split(";")[0].strip().lower() for part in accept_encoding.split(",")}
    return next((name for name in ("lz4", "zstd", "br", "gzip", "deflate") if name in taken), "")


def deflater(name: str) -> Deflater:
    """A compressor of that name."""
    if name == "lz4":
        return _Lz4()
    if name == "br":
        return _BrotliOut()
    if name == "zstd":
        import zstandard

        return zstandard.ZstdCompressor(level=1).compressobj()
    return zlib.compressobj(3, zlib.DEFLATED, 31 if name == "gzip" else 15)
