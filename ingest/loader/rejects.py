"""Stops the loader rather than emptying a topic into the dead letters.

In: each batch's counts, before its dead letters are written. Raises RejectShareError when, over the last `window`
events of a topic, more than `max_share` were refused: then the contract, not the events, is what is wrong.
"""

import threading
from collections import Counter, deque
from collections.abc import Sequence

from ingest.errors import MeterhouseError
from ingest.loader.run import Rejected, Run


class RejectShareError(MeterhouseError):
    """Too large a share of a topic is refused."""


class RejectGuard:
    """Shared by the worker threads; counts each topic apart."""

    def __init__(self, max_share: float, window: int) -> None:
        self._max_share = max_share
        self._window = window
        self._lock = threading.Lock()
        self._recent: dict[str, deque[tuple[int, Counter[str]]]] = {}

    def admit(self, run: Run, messages: int, rejected: Sequence[Rejected]) -> None:
        """Counts a batch in (its messages, or the records in them where a message holds many); raises where the share
        is then too large. Fewer events than the window are not judged."""
        topic = run.source.topic
        classes: Counter[str] = Counter()
        for one in rejected:
            classes[one.error_class] += one.records
        with self._lock:
            recent = self._recent.setdefault(topic, deque())
            recent.append((messages, classes))
            seen = sum(count for count, _ in recent)
            while len(recent) > 1 and seen - recent[0][0] >= self._window:
                seen -= recent.popleft()[0]
            refused: Counter[str] = sum((one for _, one in recent), Counter())
        share = refused.total() / seen if seen else 0.0
        if seen >= self._window and share > self._max_share:
            worst = ", ".join(f"{name} {hits}" for name, hits in refused.most_common(3))
            raise RejectShareError(
                f"{share:.0%} of the last {seen} events of {topic} were refused ({worst}), more than "
                f"METERHOUSE_MAX_REJECT_SHARE={self._max_share:g} allows, up to {run}. Nothing of this run was "
                "landed or put into the dead letters. Fix the producer, "
                "or raise the limit if these are to become dead letters."
            )
