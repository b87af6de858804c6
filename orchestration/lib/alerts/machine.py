"""What becomes of a group of alerts when something is seen: a pure function, without I/O and without a clock.

In: the group as it was recorded, the signals that hold now, how far the world is known, how the rule is told, and what
is silenced. Out: the next step, or None where nothing changes. Whoever records a step says what it says; nobody else.

An alert ends only on evidence: the data was judged past the moment it was last seen, and it was not there. While the
watermark stands still or is not known, what was firing goes on firing, and what would begin waits.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from orchestration.lib.alerts.model import Facts, Group, Kind, Life, Signal, State, Step, Timing, has_passed, rank_of

INCOMPLETE = "incomplete hours"
HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Rule:
    """How a rule is told, by severity, and whether it judges by the wall clock instead of the watermark."""

    timing: Callable[[str], Timing]
    is_by_clock: bool = False

    def evidence(self, facts: Facts) -> datetime | None:
        """Up to when absence means something."""
        return facts.judged_at if self.is_by_clock else facts.complete_to


def advance(
    group: Group,
    signals: Iterable[Signal],
    facts: Facts,
    rule: Rule,
    quieted: Callable[[Signal], str],
) -> Step | None:
    """The next step of the group. `quieted` names the silence or maintenance window a signal is under, or nothing."""
    present = {signal.dedup_key: signal for signal in signals}
    lives = [
        _seen(group, life, present.pop(life.key, None), facts, rule, quieted) for life in group.lives if life.is_open
    ]
    # One that ended within this thread and is there again is a new life; the old one has been logged.
    over = [life for life in group.lives if not life.is_open and life.key not in present]
    lives += [_begun(signal, facts, rule, quieted) for signal in present.values()]
    lives = sorted([*over, *lives], key=lambda life: life.key)
    kind = _kind(group, lives, facts.now, rule)
    if kind is None and not any(life.change for life in lives):
        return None
    step = group.step + 1
    thread = group.thread or (_thread(group, step) if kind is Kind.FIRING else "")
    if kind is not None:
        lives = [_told(life, facts.now, rule) for life in lives]
    return Step(replace(group, step=step, thread=thread, lives=tuple(lives)), kind)


def acknowledge(group: Group, who: str, note: str, keys: Iterable[str] | None = None) -> Step | None:
    """No more reminders of the alerts with these keys (None: all of the group) until they worsen or end."""
    wanted = None if keys is None else set(keys)

    def is_meant(life: Life) -> bool:
        return life.state is State.FIRING and (wanted is None or life.key in wanted)

    if not any(is_meant(life) for life in group.lives):
        return None
    lives = tuple(
        replace(life, state=State.ACKNOWLEDGED, acknowledged_by=who, note=note, change="acknowledged")
        if is_meant(life)
        else life
        for life in group.lives
    )
    return Step(replace(group, step=group.step + 1, lives=lives), None)


def _thread(group: Group, step: int) -> str:
    return f"{group.rule_id}/{group.workspace_id}/{step}"


def _begun(signal: Signal, facts: Facts, rule: Rule, quieted: Callable[[Signal], str]) -> Life:
    life = Life(signal, State.PENDING, began_at=facts.now, change="pending")
    return _promoted(life, facts, rule, quieted)


def _seen(
    group: Group, life: Life, signal: Signal | None, facts: Facts, rule: Rule, quieted: Callable[[Signal], str]
) -> Life:
    """An open life after a look: it still holds, or it does not."""
    if signal is None:
        return _absent(group, life, facts, rule, quieted)
    change = "severity" if signal.severity != life.signal.severity else "back" if life.quiet_since else ""
    life = replace(life, signal=signal, quiet_since=None, change=change)
    return _promoted(life, facts, rule, quieted)


def _promoted(life: Life, facts: Facts, rule: Rule, quieted: Callable[[Signal], str]) -> Life:
    """Pending becomes firing where nothing is waited for; why nobody is told is noted where it changed."""
    signal = life.signal
    if life.state is State.PENDING:
        waits_for = ""
        if not rule.is_by_clock and (facts.complete_to is None or signal.until > facts.complete_to):
            waits_for = INCOMPLETE
        elif signal.until - signal.since < (rule.timing(signal.severity).hold or timedelta.min):
            waits_for = HOLD
        if waits_for:
            return _waiting(life, waits_for)
        life = replace(life, state=State.FIRING, fired_at=facts.now, change="fired")
    return _waiting(life, quieted(signal))


def _waiting(life: Life, waits_for: str) -> Life:
    return life if waits_for == life.waits_for else replace(life, waits_for=waits_for, change=life.change or "waits")


def _absent(group: Group, life: Life, facts: Facts, rule: Rule, quieted: Callable[[Signal], str]) -> Life:
    if life.state is not State.PENDING:
        life = _waiting(life, quieted(life.signal))
    evidence = rule.evidence(facts)
    if evidence is None or evidence < life.signal.until:
        return life
    if life.state is State.PENDING:
        return replace(life, state=State.RESOLVED, ended_at=evidence, change="passed")
    if life.quiet_since is None:
        life = replace(life, quiet_since=evidence, change="quiet")
    assert life.quiet_since is not None
    if evidence - life.quiet_since < group.gone_for(rule.timing(life.signal.severity).resolve_after):
        return life
    return replace(life, state=State.RESOLVED, ended_at=life.quiet_since, change="resolved")


def _is_fresh(life: Life) -> bool:
    """Has fired, nobody was told, and nothing keeps it from being told; also where it is over by now."""
    return life.told_at is None and life.fired_at is not None and not life.waits_for


def _is_worse(life: Life, rule: Rule) -> bool:
    if life.told_at is None or not life.has_fired or life.waits_for:
        return False
    worse_at = rule.timing(life.signal.severity).worse_at
    badness, told = life.signal.badness, life.told_badness
    has_grown = worse_at is not None and badness > told and badness >= worse_at * told
    return has_grown or life.signal.rank > rank_of(life.told_severity)


def _kind(group: Group, lives: list[Life], now: datetime, rule: Rule) -> Kind | None:
    fresh = [life for life in lives if _is_fresh(life)]
    if not group.thread:
        # What fired and ended before anybody could be told (a silence lasted as long as it) is not told.
        return Kind.FIRING if any(life.is_open for life in fresh) else None
    told = [life for life in lives if life.told_at is not None]
    if not fresh and not any(life.is_open for life in told):
        return Kind.RESOLVED
    worse = [life for life in told if _is_worse(life, rule)]
    if fresh or worse:
        loudest = max((rank_of(life.told_severity) for life in told), default=-1)
        is_louder = any(life.signal.rank > loudest for life in [*fresh, *worse])
        is_last_chance = any(not life.is_open for life in fresh) or not any(life.is_open for life in told)
        if is_louder or is_last_chance or _is_due(group, [*fresh, *worse], now, rule):
            return Kind.WORSENED
    is_reminded = any(_wants_reminder(life, group.told_at, now, rule) for life in told)
    return Kind.REMINDER if is_reminded else None


def _is_due(group: Group, lives: list[Life], now: datetime, rule: Rule) -> bool:
    least = min(rule.timing(life.signal.severity).update_after for life in lives)
    return group.told_at is None or has_passed(least, group.told_at, now)


def _wants_reminder(life: Life, told_at: datetime | None, now: datetime, rule: Rule) -> bool:
    after = rule.timing(life.signal.severity).remind_after
    if after is None or told_at is None or life.state is not State.FIRING or life.waits_for or life.quiet_since:
        return False
    return has_passed(after, told_at, now)


def _first(life: Life) -> str:
    return life.change if life.change == "fired" else "first told"


def _told(life: Life, now: datetime, rule: Rule) -> Life:
    """A life after the message of its group: what nobody keeps back is told as it is now."""
    if life.told_at is None and not _is_fresh(life):
        return life
    if not life.is_open:
        return life if life.told_at is not None else replace(life, told_at=now, told_severity=life.signal.severity)
    if life.waits_for:
        return life
    is_worse = _is_worse(life, rule)
    return replace(
        life,
        # An acknowledgement was of what was known then.
        state=State.FIRING if is_worse else life.state,
        told_at=now,
        told_severity=max(life.told_severity or "notice", life.signal.severity, key=rank_of),
        told_badness=max(life.told_badness, life.signal.badness),
        change="worsened" if is_worse else _first(life) if life.told_at is None else "told",
    )
