"""Where a simulation goes that goes to a file, plain or zstd, and how fast it goes.

A file is written beside its name and moved there when it is whole, so that a broken-off simulation leaves none.
Failures are MeterhouseErrors that name the file.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol

from ingest.errors import MeterhouseError
from ingest.simulate.stream import Chunk


class Sink(Protocol):
    """Takes chunks in order; leaving the context makes them durable or raises."""

    def write(self, chunk: Chunk) -> None: ...


class Pacer:
    """Keeps a stream at `rate` messages a second from its first one on; a rate of None never waits."""

    def __init__(
        self,
        rate: float | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate, self._clock, self._sleep = rate, clock, sleep
        self._started_at: float | None = None
        self._sent = 0

    @property
    def step(self) -> int:
        """Most messages to send at once: a fiftieth of a second's worth, so that a steady load is steady."""
        return 1 << 30 if self._rate is None else max(1, round(self._rate / 50))

    def wait_for(self, messages: int) -> None:
        """Returns when the next `messages` messages are due."""
        if self._rate is None:
            return
        if self._started_at is None:
            self._started_at = self._clock()
        early_s = self._started_at + self._sent / self._rate - self._clock()
        if early_s > 0:
            self._sleep(early_s)
        self._sent += messages


class FileSink:
    """Writes `path`, compressed where it ends in .zst. Raises MeterhouseError where it cannot be written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(path.name + ".part")

    def __enter__(self) -> "FileSink":
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._raw: BinaryIO = self._part.open("wb")
        except OSError as error:
            raise self._failure(error) from None
        self._out: AbstractContextManager[BinaryIO] = nullcontext(self._raw)
        if self._path.suffix == ".zst":
            import zstandard

            # The context frees the stream; one thread and a fixed level keep the bytes the same.
            self._out = zstandard.ZstdCompressor(level=3).stream_writer(self._raw)
        self._file = self._out.__enter__()
        return self

    def write(self, chunk: Chunk) -> None:
        try:
            self._file.write(chunk.lines)
        except OSError as error:
            raise self._failure(error) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._out.__exit__(kind, error, trace)
            self._raw.close()
            if kind is None:
                self._part.replace(self._path)
            else:
                self._part.unlink(missing_ok=True)
        except OSError as failure:
            raise self._failure(failure) from None

    def _failure(self, error: OSError) -> MeterhouseError:
        return MeterhouseError(
            f"Cannot write {self._path}: {error.strerror or error}. Free the disk or name another --out."
        )
