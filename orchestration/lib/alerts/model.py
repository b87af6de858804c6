"""What the alerts' machinery speaks of: a signal, an alert's life, its group, and one step of the group.

A signal is a row of marts.alerts_current, or what a sensor of our own saw, in the same columns. A group is all alerts
of one rule and workspace: people get one message a group. Values are in the unit of the rule; all times are aware, UTC.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

# Clocks of several machines differ by less; one that says an earlier time than so was set back.
_CLOCK_SKEW: Final = timedelta(minutes=5)
# How long an alert must be gone doubles with each beginning of the last while, up to the longest.
_COMES_BACK_WITHIN: Final = timedelta(hours=2)
_LONGEST_GONE: Final = timedelta(hours=1)
SEVERITIES: Final = ("notice", "ticket", "page")
# What a quantity without a bound is written as; finite, so that it can be stored and sent.
BOUNDLESS: Final = 1e9


class State(StrEnum):
    """Where an alert is in its life. Pending waits for something and nobody was told; resolved is the end."""

    PENDING = "pending"
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Kind(StrEnum):
    """Why people are told."""

    FIRING = "firing"
    WORSENED = "worsened"
    REMINDER = "reminder"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Signal:
    """That something is wrong now. Columns as in models/alerts/_alerts.md."""

    rule_id: str
    severity: str
    workspace_id: str
    subject: str
    value: float
    threshold: float
    since: datetime
    until: datetime
    runbook: str
    dedup_key: str

    @property
    def rank(self) -> int:
        return rank_of(self.severity)

    @property
    def badness(self) -> float:
        """How bad it is, to be compared with itself: twice as much is twice as bad."""
        return badness_of(self.value, self.threshold)


@dataclass(frozen=True, slots=True)
class Life:
    """One alert from its first sight to its end. `told_*` is what people were told last of it, at worst.

    `quiet_since` is the data's time at which it was first seen gone; `waits_for` why nobody is told, empty if nothing.
    `change` says what the step that holds it did to it, empty if nothing.
    """

    signal: Signal
    state: State
    began_at: datetime
    fired_at: datetime | None = None
    waits_for: str = ""
    quiet_since: datetime | None = None
    ended_at: datetime | None = None
    told_at: datetime | None = None
    told_severity: str = ""
    told_badness: float = 0.0
    acknowledged_by: str = ""
    note: str = ""
    change: str = ""

    @property
    def key(self) -> str:
        return self.signal.dedup_key

    @property
    def is_open(self) -> bool:
        return self.state is not State.RESOLVED

    @property
    def has_fired(self) -> bool:
        return self.state in (State.FIRING, State.ACKNOWLEDGED)


@dataclass(frozen=True, slots=True)
class Group:
    """All alerts of a rule and workspace after `step` steps. `thread` names what people are being told of; `returns` is
    how many others had begun shortly before it."""

    rule_id: str
    workspace_id: str
    step: int = 0
    thread: str = ""
    lives: tuple[Life, ...] = ()
    returns: int = 0

    @property
    def key(self) -> tuple[str, str]:
        return (self.rule_id, self.workspace_id)

    @property
    def name(self) -> str:
        """For people: rule/workspace."""
        return f"{self.rule_id}/{self.workspace_id or '(all)'}"

    @property
    def told_at(self) -> datetime | None:
        """When people last heard of this thread."""
        return max((life.told_at for life in self.lives if life.told_at is not None), default=None)

    def gone_for(self, resolve_after: timedelta) -> timedelta:
        """How long an alert must be gone to be over: the longer, the more often it came back."""
        return max(resolve_after, min(resolve_after * (1 << min(self.returns, 10)), _LONGEST_GONE))

    def settled(self, kind: "Kind | None") -> "Group":
        """As the next step finds it: without what is over and was never told, and without a thread that was ended."""
        thread = "" if kind is Kind.RESOLVED else self.thread
        kept = (life for life in self.lives if life.is_open or (thread and life.told_at is not None))
        return replace(self, thread=thread, lives=tuple(replace(life, change="") for life in kept))


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of a group: its next state, and the kind of message people get, if any. Nothing is done yet."""

    group: Group
    kind: Kind | None

    @property
    def severity(self) -> str:
        """The worst of what the message is about."""
        spoken = [life for life in self.group.lives if life.told_at is not None] or list(self.group.lives)
        still = [life for life in spoken if life.is_open] or spoken
        return SEVERITIES[max((life.signal.rank for life in still), default=0)]


@dataclass(frozen=True, slots=True)
class Facts:
    """How far the world is known: the clock, the completeness watermark, and the wall clock of the build that judged.

    Data up to `complete_to` is in and judged; None: not known. `judged_at` is what rules about the pipeline itself
    judge by (they hold by the wall clock, also while the watermark stands still).
    """

    now: datetime
    complete_to: datetime | None
    judged_at: datetime | None


@dataclass(frozen=True, slots=True)
class Timing:
    """How a rule's alerts are told. `remind_after` None: no reminders. `worse_at` None: only severity worsens.

    `hold`: how long a signal must have held before it fires. `resolve_after`: how long, in the data's time, it must be
    gone before it is over. `update_after`: least time between two messages of a thread, but for a rising severity.
    `worse_at`: times the badness that was told.
    """

    hold: timedelta = timedelta()
    resolve_after: timedelta = timedelta(minutes=5)
    remind_after: timedelta | None = None
    update_after: timedelta = timedelta(minutes=5)
    worse_at: float | None = 2.0


def has_passed(span: timedelta, since: datetime, now: datetime) -> bool:
    """Whether so much time is over; where `since` is in the future, a clock was set back, and nobody waits for it."""
    return now - since >= span or now < since - _CLOCK_SKEW


def returns_of(began_at: Sequence[datetime]) -> int:
    """Of the beginnings of a group's threads, how many came shortly before the newest."""
    newest = max(began_at, default=None)
    return sum(timedelta() < newest - at <= _COMES_BACK_WITHIN for at in began_at) if newest else 0


def rank_of(severity: str) -> int:
    """0 notice, 1 ticket, 2 page; what nobody knows is taken for a page rather than for nothing."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES) - 1


def badness_of(value: float, threshold: float) -> float:
    """See Signal.badness. Between 0 and BOUNDLESS.

    The value itself where high is bad, so that a rule whose threshold changes (another pair of windows) is not worse
    for that; what is missing to the whole where a share should be high; how many times too little otherwise.
    """
    if not (math.isfinite(value) and math.isfinite(threshold)):
        return BOUNDLESS
    if value >= threshold:
        return min(max(value, 0.0), BOUNDLESS)
    if 0 <= value < threshold <= 1:
        return 1 - value
    return min(threshold / value, BOUNDLESS) if value > 0 else BOUNDLESS


def by_group(signals: "list[Signal]") -> Mapping[tuple[str, str], list[Signal]]:
    """Signals by rule and workspace; of two with one key the worse counts."""
    worst: dict[str, Signal] = {}
    for signal in signals:
        known = worst.get(signal.dedup_key)
        if known is None or (signal.rank, signal.badness) > (known.rank, known.badness):
            worst[signal.dedup_key] = signal
    groups: dict[tuple[str, str], list[Signal]] = {}
    for signal in worst.values():
        groups.setdefault((signal.rule_id, signal.workspace_id), []).append(signal)
    return groups
