"""Servers of a test session: in a session of their own, dead when pytest is, with a log that a failure shows."""

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.embedded import processes


def free_port() -> int:
    """A port on loopback that was free a moment ago, below those the kernel gives to outgoing connections.

    One of those could be taken by a client, even by the one that waits for the server to answer.
    """
    for port in random.sample(range(22_000, 32_000), 200):
        if processes.is_port_free("127.0.0.1", port):
            return port
    raise AssertionError("no free port among 200 tried")


@dataclass
class Server:
    """A running server process; `kill` and `stop` go by its pid."""

    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self, within_s: float = 20.0) -> int:
        """SIGTERM, SIGKILL after the deadline; the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(within_s)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.returncode

    def kill(self) -> None:
        """SIGKILL, and gone when it returns."""
        self.process.kill()
        self.process.wait(10)

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


def launch(
    argv: Sequence[str],
    log: Path,
    is_ready: Callable[[], bool],
    *,
    within_s: float = 60.0,
    env: Mapping[str, str] | None = None,
) -> Server:
    """Starts a server and waits until `is_ready`; the assertion of a failed start shows the log's end."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as opened:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=opened,
            stderr=opened,
            env={**os.environ, **(env or {})},
            start_new_session=True,
            preexec_fn=processes.die_with_parent(),  # noqa: PLW1509  # calls two C functions, takes no lock
        )
    server = Server(process, log)
    try:
        deadline = time.monotonic() + within_s
        while not is_ready():
            ended = process.poll()
            assert ended is None, f"{argv[:4]} ended with {ended}: {processes.tail(log)}"
            assert time.monotonic() < deadline, f"{argv[:4]} not ready in {within_s} s: {processes.tail(log)}"
            time.sleep(0.05)
    except BaseException:
        server.kill()
        raise
    return server


@contextlib.contextmanager
def running(
    argv: Sequence[str], log: Path, is_ready: Callable[[], bool], *, within_s: float = 60.0
) -> Iterator[Server]:
    """A server for the length of the block, stopped also when the block is interrupted."""
    server = launch(argv, log, is_ready, within_s=within_s)
    try:
        yield server
    finally:
        server.stop()
