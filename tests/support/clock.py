"""A clock that moves only when told, or by exactly the seconds somebody waits on it."""

import threading
from collections.abc import Callable


class ManualClock:
    """Starts at `start_ms` epoch ms and 0 s. `waits` lists every wait asked for, in seconds; `on_wait` is what happens
    elsewhere during one."""

    def __init__(self, start_ms: int = 1_764_000_000_000) -> None:
        self._start_ms = start_ms
        self._elapsed_s = 0.0
        self.waits: list[float] = []
        self.on_wait: Callable[[], None] = lambda: None

    def now_ms(self) -> int:
        return self._start_ms + round(self._elapsed_s * 1000)

    def monotonic(self) -> float:
        return self._elapsed_s

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Does not block: time passes at once, unless the event is set already."""
        if not event.is_set():
            self.on_wait()
            self.waits.append(seconds)
            self.advance(seconds)
        return event.is_set()

    def advance(self, seconds: float) -> None:
        assert seconds >= 0, "time does not go back"
        self._elapsed_s += seconds
