"""Tries a call again while that can help, and says in one sentence why it stopped when it cannot.

In: an action and how its errors are classified. Out: the action's result. Faults that pass are retried with exponential
backoff and full jitter until the deadline; wrong credentials and a wrong schema end at once; bad data goes to the
caller unchanged, who knows which rows to look at. A set stop event ends any wait with Stopped.
"""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from ingest.errors import MeterhouseError
from ingest.loader.clock import SYSTEM_CLOCK, Clock
from ingest.warehouse_errors import ErrorKind

_T = TypeVar("_T")
_LONGEST_WORDS: Final = 300
_ADVICE: Final = {
    ErrorKind.AUTHENTICATION: (
        "check user, password and grants in METERHOUSE_CLICKHOUSE_URL, then start again; nothing is lost meanwhile"
    ),
    ErrorKind.SCHEMA: "run `meterhouse migrate` with this version of Meterhouse, then start again",
    ErrorKind.RESOURCE: (
        "give the server what it lacks (disk, memory, merges) and start again, or raise METERHOUSE_RETRY_DEADLINE_S"
    ),
    ErrorKind.TRANSIENT: "see that the server is up and start again, or raise METERHOUSE_RETRY_DEADLINE_S",
    ErrorKind.UNKNOWN: "look at the server's log for this error and start again",
}


class Stopped(Exception):  # noqa: N818  # not an error: somebody asked for it
    """The stop event was set before the call succeeded; what it was for is not done, or not known to be."""


@dataclass(frozen=True)
class RetryPolicy:
    """How long and how often. All in seconds; the n-th wait is drawn from 0 to min(first * 2^n, longest)."""

    deadline_s: float
    first_wait_s: float = 0.2
    longest_wait_s: float = 10.0

    def __post_init__(self) -> None:
        if self.deadline_s < 0 or self.first_wait_s <= 0 or self.longest_wait_s < self.first_wait_s:
            raise ValueError("a retry policy needs deadline_s >= 0 and 0 < first_wait_s <= longest_wait_s")

    def ceiling_s(self, retry: int) -> float:
        """The longest that the `retry`-th wait (from 0) may take."""
        return min(self.first_wait_s * 2.0 ** min(retry, 40), self.longest_wait_s)


class Retrier:
    """Carries calls out under one policy. Holds no state between calls; threads may share it."""

    def __init__(
        self,
        policy: RetryPolicy,
        *,
        classify: Callable[[Exception], ErrorKind],
        stop: threading.Event,
        on_retry: Callable[[ErrorKind, Exception, float], None],
        clock: Clock = SYSTEM_CLOCK,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`on_retry` hears of each retry before its wait: the kind, the error, the seconds. `draw` gives the jitter."""
        self._policy = policy
        self._classify = classify
        self._stop = stop
        self._on_retry = on_retry
        self._clock = clock
        self._draw = draw

    def call(self, what: str, action: Callable[[], _T]) -> _T:
        """The action's result. `what` names it in a sentence, such as `inserting agent_events[2] 100-199`.

        The action must be safe to repeat: an error does not say whether it took place. Raises Stopped, MeterhouseError
        (deadline passed, credentials, schema), or the error itself where it is bad data.
        """
        started_at = self._clock.monotonic()
        retry = 0
        while True:
            if self._stop.is_set():
                raise Stopped(what)
            try:
                return action()
            except Stopped:
                raise
            except Exception as error:
                kind = self._classify(error)
                # A sentence for people that nobody could classify has been decided about already.
                if kind is ErrorKind.BAD_DATA or (kind is ErrorKind.UNKNOWN and isinstance(error, MeterhouseError)):
                    raise
                wait_s = self._wait_before(retry, started_at, kind)
                if wait_s is None:
                    raise self._sentence(what, kind, error, retry, started_at) from error
                self._on_retry(kind, error, wait_s)
            if self._clock.wait(self._stop, wait_s):
                raise Stopped(what)
            retry += 1

    def _wait_before(self, retry: int, started_at: float, kind: ErrorKind) -> float | None:
        """Seconds until the next attempt, the last one at the deadline; None where there is none."""
        left_s = started_at + self._policy.deadline_s - self._clock.monotonic()
        if kind in (ErrorKind.AUTHENTICATION, ErrorKind.SCHEMA) or left_s <= 0:
            return None
        return min(self._draw() * self._policy.ceiling_s(retry), left_s)

    def _sentence(
        self, what: str, kind: ErrorKind, error: Exception, retries: int, started_at: float
    ) -> MeterhouseError:
        words = first_line(error)
        if kind in (ErrorKind.AUTHENTICATION, ErrorKind.SCHEMA):
            problem = "was not allowed" if kind is ErrorKind.AUTHENTICATION else "does not fit the tables"
            return MeterhouseError(f"{what} {problem} ({words}): {_ADVICE[kind]}.")
        took_s = self._clock.monotonic() - started_at
        return MeterhouseError(
            f"{what} failed {retries + 1} times in {took_s:.1f} s, last with: {words}. To go on, {_ADVICE[kind]}."
        )


def first_line(error: BaseException) -> str:
    """The error's first line of words, cut; its class where it has none. Never the rows an error may quote below."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    words = lines[0] if lines else type(error).__name__
    return words if len(words) <= _LONGEST_WORDS else words[: _LONGEST_WORDS - 1] + "…"
