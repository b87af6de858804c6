"""Notices that a loop has stopped turning and shows where every thread stands, once a stall.

In: `beat()` from the loop. Out: one log line `loop_stalled` and all stacks on `dump`; `loop_resumed` when it turns
again. It only tells: whoever asks `stalled_for` (the health probe) decides what follows.
"""

import faulthandler
import io
import sys
import threading
import traceback
from typing import Final, TextIO

import structlog

from ingest.loader.clock import SYSTEM_CLOCK, Clock

log = structlog.get_logger()

# Looks so often within one stall time: a stall is noticed at most a quarter of it late.
_LOOKS_PER_STALL: Final = 4


class Watchdog:
    """Watches one loop. The clock runs from construction, so that a loop that never starts is a stall too."""

    def __init__(self, stall_s: float, dump: TextIO | None = None, clock: Clock = SYSTEM_CLOCK) -> None:
        """`dump` is sys.stderr, as it is when the stall comes, unless another is given."""
        if stall_s <= 0:
            raise ValueError("a stall needs more than 0 seconds")
        self._stall_s = stall_s
        self._dump = dump
        self._clock = clock
        self._beaten_at = clock.monotonic()
        self._stalled_since: float | None = None
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def beat(self) -> None:
        """The loop turned. Cheap: one clock read."""
        self._beaten_at = self._clock.monotonic()

    def stalled_for(self) -> float:
        """Seconds since the last beat where that is longer than the stall time, else 0."""
        still_s = self._clock.monotonic() - self._beaten_at
        return still_s if still_s >= self._stall_s else 0.0

    def start(self) -> None:
        """Watches from a daemon thread until `close`."""
        self.beat()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the watching; more than once is fine."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(1.0)

    def look(self) -> None:
        """One look, as the thread does it: tells of a stall the first time it sees it, and of its end."""
        beaten_at, stalled_s = self._beaten_at, self.stalled_for()
        if self._stalled_since is not None and beaten_at != self._stalled_since:
            log.warning("loop_resumed", stood_for_s=round(beaten_at - self._stalled_since, 1))
            self._stalled_since = None
        if stalled_s and self._stalled_since is None:
            self._stalled_since = beaten_at
            log.error("loop_stalled", stalled_for_s=round(stalled_s, 1), stall_s=self._stall_s)
            self._dump_stacks()

    def _watch(self) -> None:
        while not self._clock.wait(self._closing, self._stall_s / _LOOKS_PER_STALL):
            self.look()

    def _dump_stacks(self) -> None:
        out = sys.stderr if self._dump is None else self._dump
        try:
            out.flush()
            faulthandler.dump_traceback(out.fileno(), all_threads=True)
        except (io.UnsupportedOperation, AttributeError, ValueError):
            # A stream without a file below it: the same frames by Python's own means.
            for thread_id, frame in sys._current_frames().items():  # noqa: SLF001  # its public documentation has it
                out.write(f"Thread {thread_id:#x}:\n{''.join(traceback.format_stack(frame))}\n")
        except OSError as error:
            log.warning("stacks_not_dumped", error=type(error).__name__)
