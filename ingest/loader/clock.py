"""Time as the loader sees it, so that tests can move it.

`now_ms` is the wall clock in epoch milliseconds, `monotonic` seconds that only grow, `wait` the one way to sleep: it
ends early when the event is set. SYSTEM_CLOCK is the real one; tests/support/clock.py has one that moves only when
told.
"""

import threading
import time
from typing import Final, Protocol


class Clock(Protocol):
    """What a stage may ask about time; safe to call from any thread."""

    def now_ms(self) -> int:
        """Wall time, epoch milliseconds."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Blocks until the event is set or the seconds are over; whether the event is set."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(seconds)


SYSTEM_CLOCK: Final[Clock] = SystemClock()


class Deadline:
    """A moment some seconds from its making; everything that has to be over by then asks the same one."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._at_s = clock.monotonic() + seconds

    @property
    def left_s(self) -> float:
        """Seconds until then, never below 0."""
        return max(0.0, self._at_s - self._clock.monotonic())

    @property
    def is_over(self) -> bool:
        return self.left_s == 0.0
