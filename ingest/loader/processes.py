"""Several loaders under one command: Python decodes on one core at a time, so one process leaves the others idle.

In: how many, and how one is started. Out: nothing, or the error of the first that did not end well. Each is a loader
like any other, with a name in the ledger and a port of its own; what Kafka gives to one it does not give to another.
A stop is passed on. One that ends while nobody asked it to ends them all, so that whoever watches the command sees it:
there is no half of a loader.
"""

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import structlog

from ingest.embedded.processes import METERHOUSE, die_with_parent
from ingest.errors import MeterhouseError, SettingsError
from ingest.loader.stopping import asked_to_stop
from ingest.settings import Settings

_LOOK_EVERY_S: Final = 0.05
# Beyond the drain deadline, within which a loader ends by itself; its own last net is ten seconds behind it.
_PATIENCE_S: Final = 15.0

# 0, or stopped so early that it had not begun to listen for a stop, and so had begun nothing.
_ENDED_WELL: Final = (0, -signal.SIGTERM, -signal.SIGINT)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Share:
    """Which of how many processes one is, counted from 1: `2/3`."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises SettingsError for anything else than two numbers, the first not above the second."""
        number, _, of = text.partition("/")
        if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
            raise SettingsError(f"Expected a share such as 2/3, which `load --processes` gives; came {text!r}.")
        return cls(int(number), int(of))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def of_settings(self, settings: Settings) -> Settings:
        """A port of its own, the first keeping the one that is set; 0 stays a free one."""
        port = settings.metrics_port
        if port == 0:
            return settings
        if port + self.number - 1 > 65_535:
            raise SettingsError(
                f"Process {self} of the loader would listen on port {port + self.number - 1}: the first takes "
                f"METERHOUSE_METRICS_PORT={port}, each other the next. Set a lower one, or 0 for free ones."
            )
        return settings.model_copy(update={"metrics_port": port + self.number - 1})


def one_of(words: Sequence[str], *, owner: str | None = None) -> Callable[[Share], "subprocess.Popen[bytes]"]:
    """Starts `meterhouse load` with these words as one of several; it is told to stop when this process dies.

    Of `owner` each has a name of its own: who has claimed what is told by it.
    """
    told = die_with_parent(signal.SIGTERM)

    def start(share: Share) -> "subprocess.Popen[bytes]":
        named = ["--owner", f"{owner}:{share}"] if owner else []
        argv = [*METERHOUSE, "load", *words, *named, "--share", str(share)]
        return subprocess.Popen(argv, preexec_fn=told)  # noqa: S603, PLW1509  # our own words; no thread runs yet

    return start


def run_processes(
    count: int, start: Callable[[Share], "subprocess.Popen[bytes]"], *, drain: bool, drain_deadline_s: float
) -> None:
    """Returns when all have ended well: after a stop, or with `drain` each when all is in. Raises MeterhouseError."""
    stopping = threading.Event()
    with asked_to_stop(stopping):
        running = {Share(number, count): start(Share(number, count)) for number in range(1, count + 1)}
        try:
            _watch(running, stopping, drain=drain)
        finally:
            _end(running, drain_deadline_s)
    bad = {share: process.returncode for share, process in running.items() if process.returncode not in _ENDED_WELL}
    if bad:
        share, code = next((one for one in bad.items() if one[1] != -signal.SIGKILL), next(iter(bad.items())))
        raise LoaderProcessError(share, code)
    if not drain and not stopping.is_set():
        raise MeterhouseError("A process of the loader ended though nobody asked it to. Nothing is lost: start again.")


class LoaderProcessError(MeterhouseError):
    """One of several did not end well; it has said why itself. The exit code is its own, 1 where a signal ended it."""

    def __init__(self, share: Share, code: int) -> None:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        super().__init__(
            f"Process {share} of the loader {how}, so all were stopped. Nothing is lost: the next start goes on where "
            "they were."
        )
        self.exit_code = code if code > 0 else 1


def _watch(running: dict[Share, "subprocess.Popen[bytes]"], stopping: threading.Event, *, drain: bool) -> None:
    """Returns when all should end, or have."""
    while not stopping.wait(_LOOK_EVERY_S):
        codes = [process.poll() for process in running.values()]
        if any(codes) or (None not in codes) or (not drain and 0 in codes):
            return


def _end(running: dict[Share, "subprocess.Popen[bytes]"], drain_deadline_s: float) -> None:
    """Asks those that still run to stop, and sees to it that they do."""
    for process in running.values():
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + drain_deadline_s + _PATIENCE_S
    for share, process in running.items():
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.error("process_killed", share=str(share), after_s=drain_deadline_s + _PATIENCE_S)
            process.kill()
            process.wait()
