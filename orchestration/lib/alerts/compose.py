"""A step of a group as the message people get. Pure: what was found out about it is given."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

from orchestration.lib.alerts.asking import Details
from orchestration.lib.alerts.model import Facts, Kind, Life, Signal, Step
from orchestration.lib.alerts.notice import AlertLine, Notice, moment
from orchestration.lib.alerts.rules import figures, meaning

# A telephone shows no more; the rest is counted.
MOST_LINES: Final = 10
# From so far behind on a message says how old what it knows is.
_OLD: Final = timedelta(minutes=15)
_NEW: Final = frozenset({"fired", "first told"})
_OPENINGS: Final = {
    Kind.FIRING: "",
    Kind.WORSENED: "worse: ",
    Kind.REMINDER: "still: ",
    Kind.RESOLVED: "over: ",
}


def spoken_of(step: Step) -> list[Life]:
    """The lives the message is about, the worst and newest first."""
    told = [life for life in step.group.lives if life.told_at is not None]
    return sorted(told, key=lambda life: (not life.is_open, -life.signal.rank, _order(life), -life.signal.badness))


def worst_signals(step: Step) -> list[Signal]:
    return [life.signal for life in spoken_of(step)]


def compose(
    step: Step, message_id: str, facts: Facts, details: Details, *, owner: str, query: str, query_url: str, docs: str
) -> Notice:
    """The message of a step that has a kind. `docs` is put before the runbook's path; empty: no address."""
    assert step.kind is not None
    lives = spoken_of(step)
    worst = lives[0].signal
    return Notice(
        message_id=message_id,
        thread=step.group.thread,
        kind=step.kind.value,
        severity=step.severity,
        rule_id=worst.rule_id,
        workspace_id=worst.workspace_id,
        owner=owner,
        at=facts.now,
        title=_title(step, lives),
        what=meaning(worst.rule_id).what,
        alerts=[_line(life) for life in lives[:MOST_LINES]],
        more=max(len(lives) - MOST_LINES, 0),
        how_bad=details.how_bad,
        hurts=details.hurts,
        contributors=details.contributors,
        complete_to=facts.complete_to,
        remarks=[*details.remarks, *_remarks(step, facts)],
        query=query,
        query_url=query_url,
        runbook=worst.runbook,
        runbook_url=f"{docs}{worst.runbook}" if docs else "",
    )


def _title(step: Step, lives: Sequence[Life]) -> str:
    """One line: PAGE still: burn_page in acme: openai_succeeds (burn 16.7, limit 14.4) and 2 more"""
    assert step.kind is not None
    worst = lives[0].signal
    where = f" in {worst.workspace_id}" if worst.workspace_id else ""
    figure = "" if step.kind is Kind.RESOLVED else f" {figures(worst)}"
    more = f" and {len(lives) - 1} more" if len(lives) > 1 else ""
    return f"{step.severity.upper()} {_OPENINGS[step.kind]}{worst.rule_id}{where}: {worst.subject}{figure}{more}"


def _line(life: Life) -> AlertLine:
    return AlertLine(
        subject=life.signal.subject,
        now=_now(life),
        severity=life.signal.severity,
        value=life.signal.value,
        threshold=life.signal.threshold,
        since=life.signal.since,
        ended_at=life.ended_at,
        says=figures(life.signal),
        dedup_key=life.key,
    )


def _now(life: Life) -> str:
    if not life.is_open:
        return "ended"
    if life.change in ("worsened", "severity"):
        return "worse"
    return "new" if life.change in _NEW else "holds"


def _order(life: Life) -> int:
    return 0 if life.change == "worsened" or life.change in _NEW else 1


def _remarks(step: Step, facts: Facts) -> Iterable[str]:
    waiting = [life for life in step.group.lives if life.is_open and life.told_at is None]
    if waiting:
        reasons = sorted({life.waits_for or "the next message" for life in waiting})
        yield f"{len(waiting)} more of this rule wait for {', '.join(reasons)}."
    quiet = [life for life in step.group.lives if life.is_open and life.quiet_since is not None]
    if quiet and step.kind is not Kind.RESOLVED:
        yield f"{len(quiet)} of them were not seen any more when last judged."
    if step.group.returns and step.kind is not Kind.RESOLVED:
        yield f"It began {step.group.returns} times shortly before: it must be gone for longer until it is called over."
    held = [life for life in step.group.lives if life.acknowledged_by and life.is_open]
    if held:
        yield f"{len(held)} acknowledged by {', '.join(sorted({life.acknowledged_by for life in held}))}."
    if facts.complete_to is None:
        yield "How far data is complete is not known: nothing new is judged."
    elif facts.now - facts.complete_to > _OLD:
        yield f"Data is complete to {moment(facts.complete_to)} only: what came later waits and is not judged."
