"""What is still to be delivered, to which channel, as which attempt: decided from the log alone. Pure.

A message waits here until each of its channels has taken it or was given up. A channel that refuses, or is silent for
long, passes a copy to the fallback channels, and is tried on. Within a thread a channel gets messages in their order.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from orchestration.lib.alerts.model import has_passed
from orchestration.lib.alerts.routes_schema import DeliveryFile


class Outcome(StrEnum):
    """How an attempt stands. Claimed: begun, and nobody has said how it ended; unknown: ended without an answer."""

    CLAIMED = "claimed"
    DELIVERED = "delivered"
    FAILED = "failed"
    UNKNOWN = "unknown"
    GIVEN_UP = "given_up"
    DRY_RUN = "dry_run"


_FINISHED = frozenset({Outcome.DELIVERED, Outcome.GIVEN_UP, Outcome.DRY_RUN})
# Longest wait a receiver can ask for.
_LONGEST_ASKED = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of ops.alert_deliveries."""

    message_id: str
    channel: str
    attempt: int
    outcome: Outcome
    at: datetime
    retry_at: datetime | None = None
    passed_to: tuple[str, ...] = ()
    detail: str = ""
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that was decided, with what its deliveries came to so far. `step` is its place in its thread."""

    message_id: str
    thread: str
    at: datetime
    channels: tuple[str, ...]
    body: str
    entries: tuple[Entry, ...] = ()
    step: int = 0

    @property
    def receivers(self) -> tuple[str, ...]:
        """Its channels, and those that it was passed to."""
        passed = (name for entry in self.entries for name in entry.passed_to)
        return tuple(dict.fromkeys([*self.channels, *passed]))

    def of(self, channel: str) -> list[Entry]:
        return sorted((entry for entry in self.entries if entry.channel == channel), key=lambda one: one.attempt)

    def is_finished(self, channel: str) -> bool:
        return any(entry.outcome in _FINISHED for entry in self.of(channel))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try that is due. `may_be_second`: an earlier one may have arrived."""

    letter: Letter
    channel: str
    number: int
    first_at: datetime
    may_be_second: bool

    @property
    def key(self) -> str:
        """The same for every attempt at this message on this channel."""
        return f"{self.letter.message_id}/{self.channel}"


def due(letters: Iterable[Letter], now: datetime, lease_of: Mapping[str, timedelta]) -> list[Attempt]:
    """Every attempt that may begin now, in the order in which the messages were decided.

    `lease_of`: how long a claimed attempt of a channel is left alone, since its process may be alive.
    """
    # By step, not by time: a clock may have gone back between a beginning and its end.
    first: dict[tuple[str, str], Letter] = {}
    for letter in letters:
        for channel in letter.receivers:
            known = first.get((letter.thread, channel))
            if not letter.is_finished(channel) and (known is None or letter.step < known.step):
                first[letter.thread, channel] = letter
    attempts = (
        _next(letter, channel, now, lease_of.get(channel, timedelta(minutes=1)))
        for (_, channel), letter in sorted(first.items(), key=lambda one: (one[1].at, one[1].message_id))
    )
    return [attempt for attempt in attempts if attempt is not None]


def after_failure(
    attempt: Attempt,
    now: datetime,
    policy: DeliveryFile,
    fallback: Sequence[str],
    *,
    is_final: bool,
    is_unknown: bool,
    retry_after_s: float | None,
    detail: str,
    owner: str,
) -> Entry:
    """What is recorded of an attempt that failed: when the next is due, who gets a copy, or that it was the last."""
    lasted = now - attempt.first_at
    wait = min(policy.first_retry * 2 ** min(attempt.number - 1, 20), policy.longest_retry)
    if retry_after_s is not None:
        wait = max(wait, min(timedelta(seconds=retry_after_s), _LONGEST_ASKED))
    is_over = lasted >= policy.give_up_after
    was_passed = any(entry.passed_to for entry in attempt.letter.of(attempt.channel))
    passes = (is_final or is_over or lasted >= policy.escalate_after) and not was_passed
    return Entry(
        attempt.letter.message_id,
        attempt.channel,
        attempt.number,
        Outcome.GIVEN_UP if is_over else Outcome.UNKNOWN if is_unknown else Outcome.FAILED,
        now,
        retry_at=None if is_over else now + wait,
        # A fallback that fails passes nothing on, or two of them would pass one message to and fro.
        passed_to=tuple(name for name in fallback if name not in attempt.letter.receivers) if passes else (),
        detail=detail,
        owner=owner,
    )


def _next(letter: Letter, channel: str, now: datetime, lease: timedelta) -> Attempt | None:
    entries = letter.of(channel)
    if not entries:
        return Attempt(letter, channel, 1, now, may_be_second=False)
    number = entries[-1].attempt
    last = [entry for entry in entries if entry.attempt == number]
    ended = [entry for entry in last if entry.outcome is not Outcome.CLAIMED]
    since = ended[-1].at if ended else last[0].at
    due_at = ended[-1].retry_at if ended else since + lease
    if due_at is not None and not has_passed(due_at - since, since, now):
        return None
    ended_attempts = {entry.attempt for entry in entries if entry.outcome is Outcome.FAILED}
    return Attempt(
        letter,
        channel,
        number + 1,
        min(entry.at for entry in entries),
        may_be_second=any(entry.attempt not in ended_attempts for entry in entries),
    )
