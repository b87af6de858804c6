"""HTTP's compressions, piece by piece: request bodies by Content-Encoding, answers by Accept-Encoding.

An Inflater hands pieces of about a mebibyte to a sink, so that a small body that grows a thousandfold never sits whole
in memory. What is broken or cut short is a ClickHouseError with the code ClickHouse has for that compression.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Protocol, cast

from ingest.embedded.clickhouse.errors import ClickHouseError

Sink = Callable[[bytes], None]

_PIECE_BYTES = 1 << 20


class Inflater(Protocol):
    """Decompresses a body; `end` after its last bytes raises when it is cut short."""

    def feed(self, data: bytes, sink: Sink, /) -> None: ...
    def end(self) -> None: ...


class Identity:
    """No compression."""

    def feed(self, data: bytes, sink: Sink) -> None:
        sink(data)

    def end(self) -> None:
        return


class _Frames(Protocol):
    """What bz2, lzma, lz4.frame and zstd have in common."""

    eof: bool
    needs_input: bool
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Stepwise:
    """Frame after frame."""

    def __init__(self, make: Callable[[], _Frames], code: int, name: str) -> None:
        self._make, self._code, self._name = make, code, name
        self._inner = make()
        self._is_inside = False

    def feed(self, data: bytes, sink: Sink) -> None:
        try:
            while data:
                if self._inner.eof:
                    self._inner = self._make()
                self._is_inside = True
                piece = self._inner.decompress(data, _PIECE_BYTES)
                while True:
                    if piece:
                        sink(piece)
                    if self._inner.eof or self._inner.needs_input:
                        break
                    piece = self._inner.decompress(b"", _PIECE_BYTES)
                data = self._inner.unused_data if self._inner.eof else b""
        except ClickHouseError:
            raise
        except Exception as error:  # noqa: BLE001  # each library has an exception of its own
            raise ClickHouseError(self._code, self._name, f"The body cannot be decompressed: {error}") from None

    def end(self) -> None:
        if self._is_inside and not self._inner.eof:
            raise ClickHouseError(self._code, self._name, "The compressed body ends before its last frame does")


class _Zlib:
    """zlib's object with the attributes of the others: it keeps what it did not take apart from what is behind it."""

    def __init__(self, window_bits: int) -> None:
        self._inner = zlib.decompressobj(window_bits)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        piece = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        self.needs_input = len(piece) < max_length and not self._inner.unconsumed_tail
        return piece


class _Brotli:
    def __init__(self) -> None:
        import brotli  # type: ignore[import-untyped]

        self._inner = brotli.Decompressor()
        self.needs_input = True
        self.unused_data = b""

    @property
    def eof(self) -> bool:
        return cast("bool", self._inner.is_finished())

    def decompress(self, data: bytes, max_length: int) -> bytes:
        piece = cast("bytes", self._inner.process(data, output_buffer_limit=max_length))
        # can_accept_more_data() is true with output left (measured, 1.2.1): only an empty piece says there is none.
        self.needs_input = not piece and self._inner.can_accept_more_data()
        return piece


def _lz4_frames() -> _Frames:
    import lz4.frame  # type: ignore[import-untyped]

    return cast("_Frames", lz4.frame.LZ4FrameDecompressor())


def zstd_frames() -> _Frames:
    """Python's own decompressor, which can stop after so many bytes; of a backport before 3.14."""
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        from backports import zstd

    return cast("_Frames", zstd.ZstdDecompressor())


def inflater(encoding: str) -> Inflater:
    """The decompressor of a Content-Encoding."""
    name = encoding.strip().lower()
    if name in ("", "identity", "none"):
        return Identity()
    if name in ("gzip", "x-gzip", "gz"):
        return _Stepwise(lambda: cast("_Frames", _Zlib(31)), 354, "ZLIB_INFLATE_FAILED")
    if name == "deflate":
        return _Stepwise(lambda: cast("_Frames", _Zlib(15)), 354, "ZLIB_INFLATE_FAILED")
    if name == "lz4":
        return _Stepwise(_lz4_frames, 618, "LZ4_DECODER_FAILED")
    if name in ("zstd", "zst"):
        return _Stepwise(zstd_frames, 561, "ZSTD_DECODER_FAILED")
    if name in ("br", "brotli"):
        return _Stepwise(lambda: cast("_Frames", _Brotli()), 448, "BROTLI_READ_FAILED")
    if name in ("xz", "lzma"):
        return _Stepwise(lambda: cast("_Frames", lzma.LZMADecompressor()), 554, "LZMA_STREAM_DECODER_FAILED")
    if name in ("bz2", "bzip2"):
        return _Stepwise(lambda: cast("_Frames", bz2.BZ2Decompressor()), 594, "BZIP2_STREAM_DECODER_FAILED")
    message = f"Unknown compression method {encoding}. Only zstd, br, lz4, gzip, deflate, xz and bz2 are supported here"
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
    def __init__(self, level: int) -> None:
        import brotli

        self._inner = brotli.Compressor(quality=level)

    def compress(self, data: bytes, /) -> bytes:
        return cast("bytes", self._inner.process(data))

    def flush(self) -> bytes:
        return cast("bytes", self._inner.finish())


def accepted(accept_encoding: str) -> str:
    """The compression to answer in, of those a client takes; ClickHouse's own order, '' for none."""
    taken = {
        name.strip().lower()
        for name, _, weight in (part.partition(";") for part in accept_encoding.split(","))
        if weight.replace(" ", "").rstrip("0.") != "q="
    }
    return next((name for name in ("zstd", "br", "lz4", "gzip", "deflate", "xz", "bz2") if name in taken), "")


def deflater(name: str, level: int = 3) -> Deflater:
    """A compressor of that name; `level` is http_zlib_compression_level, which ClickHouse uses for all of them."""
    level = min(max(level, 1), 9)
    if name == "lz4":
        return _Lz4()
    if name == "br":
        return _BrotliOut(level)
    if name == "zstd":
        import zstandard

        return zstandard.ZstdCompressor(level=level).compressobj()
    if name == "xz":
        return lzma.LZMACompressor(preset=level)
    if name == "bz2":
        return bz2.BZ2Compressor(level)
    return zlib.compressobj(level, zlib.DEFLATED, 31 if name == "gzip" else 15)
