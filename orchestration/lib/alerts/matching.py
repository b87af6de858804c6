"""Who and what a route, a silence or a maintenance window is about, and whether one holds now. Pure.

A matcher fits where each of its patterns fits; a pattern that is not given fits everything. `*` stands for any text and
`?` for one character.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from orchestration.lib.alerts.model import Signal


@dataclass(frozen=True, slots=True)
class Matcher:
    """Each field is a tuple of patterns of which one must fit; an empty tuple fits all."""

    rule: tuple[str, ...] = ()
    workspace: tuple[str, ...] = ()
    subject: tuple[str, ...] = ()
    severity: tuple[str, ...] = ()
    owner: tuple[str, ...] = ()

    def fits(self, *, rule: str, workspace: str, severity: str, subject: str = "", owner: str = "") -> bool:
        given = ((self.rule, rule), (self.workspace, workspace), (self.subject, subject))
        return all(_fits(patterns, text) for patterns, text in (*given, (self.severity, severity), (self.owner, owner)))

    def fits_signal(self, signal: Signal) -> bool:
        return self.fits(
            rule=signal.rule_id, workspace=signal.workspace_id, severity=signal.severity, subject=signal.subject
        )

    @property
    def is_everything(self) -> bool:
        return not (self.rule or self.workspace or self.subject or self.severity or self.owner)

    def __str__(self) -> str:
        named = ("rule", self.rule), ("workspace", self.workspace), ("subject", self.subject)
        said = [f"{name} {' or '.join(one)}" for name, one in (*named, ("severity", self.severity)) if one]
        return ", ".join(said) or "everything"


@dataclass(frozen=True, slots=True)
class Silence:
    """Nobody is told of what `matcher` fits from starts_at up to ends_at."""

    silence_id: str
    matcher: Matcher
    starts_at: datetime
    ends_at: datetime
    reason: str
    created_by: str
    created_at: datetime

    def holds(self, now: datetime) -> bool:
        return self.starts_at <= now < self.ends_at


@dataclass(frozen=True, slots=True)
class Maintenance:
    """A window known beforehand: from `start` to `end`; or on `weekdays` (0 Monday) `at` a local time, so `long`."""

    name: str
    matcher: Matcher
    zone: ZoneInfo
    start: datetime | None = None
    end: datetime | None = None
    weekdays: frozenset[int] = field(default_factory=frozenset)
    at: time | None = None
    long: timedelta = timedelta()

    def holds(self, now: datetime) -> bool:
        if self.start is not None and self.end is not None:
            return self.start <= now < self.end
        return any(start <= now < start + self.long for start in self._starts(now))

    def _starts(self, now: datetime) -> Iterable[datetime]:
        """Starts of the window on this local day and those before it that could reach here."""
        assert self.at is not None
        today: date = now.astimezone(self.zone).date()
        for back in range(self.long.days + 2):
            day = today - timedelta(days=back)
            if day.weekday() in self.weekdays:
                # As one moment, so that a night of 23 or 25 hours does not make the window shorter or longer.
                yield datetime.combine(day, self.at, self.zone).astimezone(now.tzinfo)


def quieted_by(signal: Signal, now: datetime, silences: Iterable[Silence], windows: Iterable[Maintenance]) -> str:
    """What keeps a signal from being told now: "silence <id>", "maintenance <name>", or nothing."""
    for silence in silences:
        if silence.holds(now) and silence.matcher.fits_signal(signal):
            return f"silence {silence.silence_id}"
    for window in windows:
        if window.holds(now) and window.matcher.fits_signal(signal):
            return f"maintenance {window.name}"
    return ""


def _fits(patterns: tuple[str, ...], text: str) -> bool:
    return not patterns or any(_compiled(pattern).fullmatch(text) for pattern in patterns)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    words = (".*" if part == "*" else "." if part == "?" else re.escape(part) for part in re.split(r"([*?])", pattern))
    return re.compile("".join(words), re.DOTALL)
