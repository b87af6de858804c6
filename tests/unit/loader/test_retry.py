"""What is tried again, for how long, and the sentence when it ends."""

import threading

import pytest

from ingest.errors import MeterhouseError
from ingest.loader.retry import Retrier, RetryPolicy, Stopped, first_line
from ingest.warehouse_errors import ErrorKind
from tests.support.clock import ManualClock


class Kitchen:
    """A retrier with everything it hears, and an action that fails so often."""

    def __init__(self, kind: ErrorKind, deadline_s: float = 60, failures: int = 1 << 30) -> None:
        self.clock, self.stop = ManualClock(), threading.Event()
        self.heard: list[tuple[ErrorKind, str, float]] = []
        self.attempts = 0
        self.failures = failures
        self.retrier = Retrier(
            RetryPolicy(deadline_s),
            classify=lambda _: kind,
            stop=self.stop,
            clock=self.clock,
            on_retry=lambda kind, error, wait: self.heard.append((kind, str(error), wait)),
            draw=lambda: 1.0,
        )

    def action(self) -> str:
        self.attempts += 1
        if self.attempts <= self.failures:
            raise OSError(f"fault {self.attempts}\nDB row: secret")
        return "done"

    def call(self) -> str:
        return self.retrier.call("inserting agent_events[2] 100-199", self.action)


@pytest.mark.parametrize("kind", [ErrorKind.TRANSIENT, ErrorKind.RESOURCE, ErrorKind.UNKNOWN])
def test_a_fault_that_passes_is_waited_out_ever_longer(kind: ErrorKind) -> None:
    kitchen = Kitchen(kind, failures=8)
    assert kitchen.call() == "done"
    assert kitchen.clock.waits == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0])
    assert [wait for _, _, wait in kitchen.heard] == kitchen.clock.waits
    assert kitchen.heard[0][:2] == (kind, "fault 1\nDB row: secret")


def test_the_last_attempt_is_at_the_deadline_and_then_a_sentence_says_all() -> None:
    kitchen = Kitchen(ErrorKind.TRANSIENT, deadline_s=30)
    with pytest.raises(MeterhouseError) as raised:
        kitchen.call()
    assert kitchen.clock.monotonic() == 30
    words = str(raised.value)
    assert words.startswith(f"inserting agent_events[2] 100-199 failed {kitchen.attempts} times in 30.0 s")
    assert f"fault {kitchen.attempts}." in words
    assert "METERHOUSE_RETRY_DEADLINE_S" in words
    assert "secret" not in words


@pytest.mark.parametrize(
    ("kind", "advice"),
    [(ErrorKind.AUTHENTICATION, "METERHOUSE_CLICKHOUSE_URL"), (ErrorKind.SCHEMA, "meterhouse migrate")],
)
def test_what_no_retry_cures_ends_at_once(kind: ErrorKind, advice: str) -> None:
    kitchen = Kitchen(kind)
    with pytest.raises(MeterhouseError, match=advice):
        kitchen.call()
    assert (kitchen.attempts, kitchen.clock.waits, kitchen.heard) == (1, [], [])


def test_bad_data_comes_back_as_it_was() -> None:
    kitchen = Kitchen(ErrorKind.BAD_DATA)
    with pytest.raises(OSError, match="fault 1"):
        kitchen.call()
    assert kitchen.attempts == 1


def test_a_stop_ends_the_wait_and_nothing_is_tried_after_it() -> None:
    kitchen = Kitchen(ErrorKind.TRANSIENT)

    def fail() -> str:
        kitchen.stop.set()
        return kitchen.action()

    with pytest.raises(Stopped):
        kitchen.retrier.call("inserting", fail)
    assert kitchen.attempts == 1
    with pytest.raises(Stopped):
        kitchen.call()
    assert kitchen.attempts == 1


def test_a_stop_inside_the_action_is_not_an_error_to_retry() -> None:
    kitchen = Kitchen(ErrorKind.TRANSIENT)

    def stopped() -> str:
        raise Stopped("inner")

    with pytest.raises(Stopped, match="inner"):
        kitchen.retrier.call("outer", stopped)
    assert kitchen.heard == []


def test_jitter_spreads_the_waits_over_their_whole_range() -> None:
    kitchen = Kitchen(ErrorKind.TRANSIENT, failures=3)
    draws = iter([0.0, 0.5, 0.25])
    kitchen.retrier._draw = lambda: next(draws)
    kitchen.call()
    assert kitchen.clock.waits == pytest.approx([0.0, 0.2, 0.2])


def test_words_are_the_first_line_and_never_without_end() -> None:
    assert first_line(ValueError("\n one \n two")) == "one"
    assert first_line(ValueError()) == "ValueError"
    assert len(first_line(ValueError("x" * 10_000))) == 300


def test_a_policy_that_cannot_be_meant_is_refused() -> None:
    with pytest.raises(ValueError, match="first_wait_s"):
        RetryPolicy(10, first_wait_s=5, longest_wait_s=1)
