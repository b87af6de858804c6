"""The completeness check: what the broker's offsets say was produced = landed + dead letters, per day and topic.

In: a Look. Out: a Finding with a row a day and topic and the number of missing messages, which is zero. It is read in
an order in which a loader at work changes nothing: the broker first, then the ledger, then what is there.
"""

from collections import defaultdict
from datetime import date

from ingest.errors import MeterhouseError
from orchestration.lib.completeness import Account, Cause, Counts, MissingMessage, days_until, judge
from orchestration.lib.completeness_broker import BrokerView, look_at_broker
from orchestration.lib.completeness_causes import Budget, Explainer
from orchestration.lib.completeness_ledger import note_produced, read_sources
from orchestration.lib.completeness_otlp import topic_tables
from orchestration.lib.completeness_presence import Presence, count_presence
from orchestration.lib.quality_finding import Finding, Look, loaded_topics
from orchestration.lib.quality_manifest import database_of


def completeness(look: Look) -> Finding:
    """Accounts for every offset of the last days; docs/quality.md has the cases."""
    rule = look.thresholds.completeness
    return judge(account(look), rule, look.now)


def account(look: Look) -> Account:
    """The counts, the missing offsets and what could not be asked."""
    settings, client, rule = look.settings, look.client, look.thresholds.completeness
    ops, raw, tables = settings.database("ops"), settings.database("raw"), topic_tables(settings)
    days = days_until(look.now.date(), min(rule.days, max(1, settings.retention_days - 1)))
    notes: list[str] = []
    view: BrokerView | None = None
    try:
        view = look_at_broker(settings, list(tables), days)
        note_produced(client, ops, view, look.now.date())
    except MeterhouseError as error:
        notes.append(f"the broker could not be asked what was produced: {error}")
    states = read_sources(client, ops, list(tables), days, view)
    # Those of OTLP need not be there; what was loaded from one, or seen in it, is not forgotten.
    topics = {*loaded_topics(settings), *(one.key.topic for one in states if any(map(len, one.days)))}
    states = [one for one in states if one.key.topic in topics]
    absent_topics = sorted(topics - {key.topic for key in view.marks}) if view is not None else []
    if absent_topics:
        notes.append(f"the broker has no topic {', '.join(absent_topics)}")
    explainer = Explainer(settings, client, _firsts(look), Budget(rule.read_at_most))
    counts: dict[tuple[date, str], Counts] = defaultdict(Counts)
    for topic in sorted(topics):
        for day in days:
            counts[day, topic] = Counts()
    missing: list[MissingMessage] = []
    uncompared = 0
    for presence in count_presence(client, raw, tables, states):
        missing += _explain(presence, explainer, is_gone=view is not None and presence.state.low is None)
        uncompared += presence.uncompared
        for span, found in zip(presence.state.days, presence.by_day, strict=True):
            counts[span.day, presence.state.key.topic].add(found)
    if uncompared:
        notes.append(f"{uncompared:,} absent offsets were too many to be looked at one by one")
    numbers = {
        "sources": len(states),
        "incarnations_gone": sum(view is not None and one.low is None for one in states),
        "days_dated_by_broker": bool(view and view.day_starts),
        "read_from_broker": rule.read_at_most - explainer.budget.messages,
    }
    return Account(dict(counts), missing, notes, numbers)


def _explain(presence: Presence, explainer: Explainer, *, is_gone: bool) -> list[MissingMessage]:
    """Adds the causes of what is absent to the presence's counts; returns what is missing."""
    state, missing = presence.state, []
    for offset, explained in sorted(explainer.explain(state, presence.absent).items()):
        at = next(index for index, day in enumerate(state.days) if day.first <= offset < day.end)
        counts = presence.by_day[at]
        setattr(counts, explained.cause.value, getattr(counts, explained.cause.value) + 1)
        if explained.cause in (Cause.MISSING, Cause.LOST, Cause.UNPROVEN):
            missing.append(MissingMessage(state.key, offset, explained.cause.value, explained.event))
    for day, counts in zip(state.days, presence.by_day, strict=True):
        # What waits in a topic that is gone, or below where the broker's log begins by now, will never come.
        gone = counts.waiting if is_gone else _removed(state.low, state.floor, day.first, day.end)
        gone = min(gone, counts.waiting)
        if gone:
            counts.lost += gone
            counts.waiting -= gone
            first = max(day.first, state.floor)
            missing.append(MissingMessage(state.key, first, f"lost, the first of {gone:,}"))
    return missing


def _removed(low: int | None, floor: int, first: int, end: int) -> int:
    """Offsets of [first, end) that were never loaded and that the broker has no more."""
    return 0 if low is None else max(0, min(low, end) - max(floor, first))


def _firsts(look: Look) -> str | None:
    """The models' table of first arrivals, where it has been built."""
    database = database_of(look.settings, "intermediate")
    there = look.client.query(
        "select count() from system.tables where database = {database:String} and name = 'int_event_firsts'",
        parameters={"database": database},
    ).result_rows[0][0]
    return f"{database}.int_event_firsts" if there else None
