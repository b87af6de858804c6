"""A request's body, whole and decompressed, within limits.

In: ASGI's pieces, the Content-Encoding. Out: bytes, or a Refusal: 413 too large as sent or once decompressed, 408 too
slow, 415 unknown compression, 400 broken. Compressed bodies are taken apart step by step, so a bomb costs the limit.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Final, Protocol, cast

from ingest.api.refusal import Refusal

_PIECE_BYTES: Final = 1 << 18
_ZSTD_WINDOW_LOG: Final = 23  # 8 MiB, what zstd's own command takes without being asked for more


class Budget(Protocol):
    """Memory that bodies are taken from; `take` raises Refusal where there is no more."""

    def take(self, size: int) -> None: ...


class _Frames(Protocol):
    eof: bool
    needs_input: bool
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


async def read_body(pieces: AsyncIterator[bytes], budget: Budget, *, limit: int, within_s: float) -> bytes:
    """The body as it was sent, at most `limit` bytes, all within the time."""
    held: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(within_s):
            async for piece in pieces:
                size += len(piece)
                if size > limit:
                    raise too_large(limit)
                if piece:
                    budget.take(len(piece))
                    held.append(piece)
    except TimeoutError:
        raise Refusal(408, "too_slow", f"The body did not arrive within {within_s:g} s.") from None
    return held[0] if len(held) == 1 else b"".join(held)


def too_large(limit: int) -> Refusal:
    return Refusal(413, "body_too_large", f"The body has more than {limit} bytes; send smaller batches.")


def unpack(body: bytes, encoding: str, budget: Budget, *, limit: int) -> bytes:
    """The body without its Content-Encoding: identity, gzip, deflate or zstd."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        if len(body) > limit:
            raise too_large(limit)
        return body
    make = _DECOMPRESSORS.get(name)
    if make is None:
        raise Refusal(415, "unknown_encoding", "Content-Encoding: gzip, zstd, deflate or none is understood here.")
    try:
        return _decompress(body, make, budget, limit)
    except Refusal:
        raise
    except Exception as error:  # noqa: BLE001  # each library has an exception of its own
        detail = type(error).__name__
        raise Refusal(400, "broken_compression", f"The body is no {name} ({detail}).") from None


def _decompress(body: bytes, make: "Callable[[], _Frames]", budget: Budget, limit: int) -> bytes:
    held: list[bytes] = []
    size = 0
    inner = make()
    data = body
    while True:
        piece = inner.decompress(data, _PIECE_BYTES)
        data = b""
        size += len(piece)
        if size > limit:
            raise Refusal(
                413, "body_too_large", f"The body has more than {limit} bytes once decompressed; send smaller ones."
            )
        if piece:
            budget.take(len(piece))
            held.append(piece)
        if inner.eof:
            data = inner.unused_data
            if not data:
                return held[0] if len(held) == 1 else b"".join(held)
            inner = make()
        elif inner.needs_input:
            raise Refusal(400, "broken_compression", "The compressed body ends before its end.")


class _Zlib:
    """zlib's object with the attributes of zstd's."""

    def __init__(self, window_bits: int) -> None:
        self._inner = zlib.decompressobj(window_bits)
        self.needs_input = False

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        piece = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        self.needs_input = not self._inner.eof and not self._inner.unconsumed_tail and len(piece) < max_length
        return piece


def _zstd() -> _Frames:
    # Python's own, which stops after so many bytes; of a backport before 3.14.
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        from backports import zstd

    options = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
    return cast("_Frames", zstd.ZstdDecompressor(options=options))


_DECOMPRESSORS: Final[dict[str, Callable[[], _Frames]]] = {
    "gzip": lambda: cast("_Frames", _Zlib(31)),
    "x-gzip": lambda: cast("_Frames", _Zlib(31)),
    "deflate": lambda: cast("_Frames", _Zlib(15)),
    "zstd": _zstd,
}
