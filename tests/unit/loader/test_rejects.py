"""The guard stops a loader whose contract is wrong, and leaves small topics alone."""

import pytest

from ingest.loader.rejects import RejectGuard, RejectShareError
from ingest.loader.run import Rejected, Run, Source

RUN = Run(Source("agent_events", "id-1", 0), 0, 99)


def refused(count: int) -> list[Rejected]:
    return [Rejected(index, "wrong_type", "model", "model: expected a string, came 3.") for index in range(count)]


def test_a_share_above_the_limit_over_a_whole_window_stops_with_the_reason() -> None:
    guard = RejectGuard(max_share=0.2, window=100)
    with pytest.raises(RejectShareError, match=r"21% of the last 100 events of agent_events .*wrong_type 21"):
        guard.admit(RUN, 100, refused(21))


def test_fewer_events_than_the_window_are_never_judged() -> None:
    RejectGuard(max_share=0.2, window=100).admit(RUN, 99, refused(99))


def test_only_recent_batches_count() -> None:
    guard = RejectGuard(max_share=0.2, window=100)
    guard.admit(RUN, 50, refused(50))
    guard.admit(RUN, 1_000, [])
    guard.admit(RUN, 100, refused(20))
    with pytest.raises(RejectShareError):
        guard.admit(RUN, 100, refused(30))


def test_each_topic_is_judged_by_its_own_events() -> None:
    guard = RejectGuard(max_share=0.2, window=100)
    guard.admit(RUN, 1_000, [])
    with pytest.raises(RejectShareError):
        guard.admit(Run(Source("other", "id-2", 0), 0, 99), 100, refused(30))
