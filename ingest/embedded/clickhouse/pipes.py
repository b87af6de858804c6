"""A pipe from the engine's thread to the event loop: opened there by its path, read here without waiting."""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")
_CHUNK = 1 << 20
# Fewer switches between engine and loop than with the usual 64 KiB; Linux only, and only a hint.
_F_SETPIPE_SZ = 1031


class Pipe:
    """One result on its way. Bounded: the engine waits when the client does not read."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        with contextlib.suppress(OSError):
            fcntl.fcntl(self.write_end, _F_SETPIPE_SZ, _CHUNK)

    @property
    def path(self) -> str:
        return f"/dev/fd/{self.write_end}"

    def closing(self, work: Callable[[], _T]) -> Callable[[], _T]:
        """`work` that closes the writer's end after it, so that the reader sees the end."""

        def run() -> _T:
            try:
                return work()
            finally:
                os.close(self.write_end)

        return run

    async def read(self) -> bytes:
        """What is there, at least a byte; b'' at the end."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                return os.read(self.read_end, _CHUNK)
            except BlockingIOError:
                ready: asyncio.Future[None] = loop.create_future()
                loop.add_reader(self.read_end, _set, ready)
                try:
                    await ready
                finally:
                    loop.remove_reader(self.read_end)

    async def drain(self) -> None:
        """Reads to the end and forgets it: a writer nobody reads would wait for ever."""
        while await self.read():
            pass

    def close(self) -> None:
        os.close(self.read_end)


def _set(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
