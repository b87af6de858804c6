"""How the loader ends: on a signal, within a deadline, whatever Kafka and ClickHouse do meanwhile.

Three nets, each for what the one before cannot hold: the deadline that everything asks; calls without a timeout of
their own, made from threads that are left behind; and where Python itself is held (a client that waits with its lock in
hand), a timer outside of it that prints all stacks and ends the process.
"""

import contextlib
import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

import structlog

from ingest.errors import MeterhouseError, tell
from ingest.loader.clock import Clock, Deadline

# After the drain deadline; only a process that is held as a whole comes this far.
_LAST_NET_S: Final = 10.0
# A close that has this long has had its chance, whatever was left of the deadline.
_LEAST_CLOSE_S: Final = 1.0
_THREADS_END_S: Final = 0.5

log = structlog.get_logger()


class Ending:
    """The time the end may take; it runs from the first time somebody asks."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._deadline: Deadline | None = None

    @property
    def deadline(self) -> Deadline:
        """The same for everybody."""
        if self._deadline is None:
            self._deadline = Deadline(self._clock, self._seconds)
        return self._deadline

    def close(self, what: str, close: Callable[[], object]) -> None:
        """Closes something that may wait for an answer for longer than we can."""
        closed = threading.Event()

        def work() -> None:
            try:
                close()
            finally:
                closed.set()

        threading.Thread(target=work, name=f"close {what}", daemon=True).start()
        if not closed.wait(max(self.deadline.left_s, _LEAST_CLOSE_S)):
            log.warning("close_left_behind", what=what)


@contextlib.contextmanager
def stop_on_signals(stopping: threading.Event, deadline_s: float) -> Iterator[None]:
    """SIGTERM and SIGINT ask for a stop; what is held as a whole ends by the last net."""

    def throw_net() -> None:
        faulthandler.dump_traceback_later(deadline_s + _LAST_NET_S, exit=True, file=sys.__stderr__ or 2)

    try:
        with asked_to_stop(stopping, throw_net):
            yield
    finally:
        if stopping.is_set():
            faulthandler.cancel_dump_traceback_later()


@contextlib.contextmanager
def asked_to_stop(stopping: threading.Event, first: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Sets `stopping` on SIGTERM and SIGINT, after calling `first` once; only the main thread may listen to them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        if not stopping.is_set():
            first()
        stopping.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def not_held_by_threads() -> Iterator[None]:
    """Around a command's last work: a thread that hangs in a call would hold the process after its end; it is left."""
    code = 0
    try:
        yield
    except MeterhouseError as error:
        if not _hanging_threads():
            raise
        tell(error)
        code = error.exit_code
    if _hanging_threads():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _hanging_threads() -> list[threading.Thread]:
    until_s = time.monotonic() + _THREADS_END_S
    others = [one for one in threading.enumerate() if one is not threading.main_thread() and not one.daemon]
    for thread in others:
        thread.join(max(0.0, until_s - time.monotonic()))
    return [one for one in others if one.is_alive()]
