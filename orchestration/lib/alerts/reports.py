"""What people ask the log of alerts: what is open, what was, and which messages reached whom."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from clickhouse_connect.driver.exceptions import ClickHouseError

from ingest.errors import MeterhouseError
from ingest.warehouse_errors import is_not_there
from orchestration.lib.alerts.matching import Silence
from orchestration.lib.alerts.model import Facts, Group, Life, Signal
from orchestration.lib.alerts.observe import observe
from orchestration.lib.alerts.places import maybe_utc, utc
from orchestration.lib.alerts.rules import figures, meaning
from orchestration.lib.alerts.silences import silences
from orchestration.lib.alerts.store import Store


class OpenAlert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that is not over. `state` new: it holds and no sensor has looked yet."""

    severity: str
    state: str
    rule_id: str
    workspace_id: str
    subject: str
    says: str
    value: float
    threshold: float
    since: datetime
    told_at: datetime | None
    waits_for: str
    acknowledged_by: str
    note: str
    is_quiet: bool
    means: str
    runbook: str
    dedup_key: str


class PastAlert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert's life. Times are UTC; `ended_at` is where the data stopped showing it."""

    severity: str
    state: str
    rule_id: str
    workspace_id: str
    subject: str
    says: str
    since: datetime
    fired_at: datetime | None
    told_at: datetime | None
    ended_at: datetime | None
    acknowledged_by: str
    note: str
    messages: int


class SentMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message and how its delivery stands, a channel each: {"oncall_slack": "delivered"}."""

    at: datetime
    kind: str
    title: str
    thread: str
    message_id: str
    channels: dict[str, str]


@dataclass(frozen=True, slots=True)
class Current:
    """What is open, how far the data goes, what keeps people from being told, and what could not be delivered."""

    alerts: list[OpenAlert]
    facts: Facts
    problem: str
    silences: list[Silence]
    undelivered: list[SentMessage]


def current(store: Store, now: datetime) -> Current:
    """The open alerts: those in the log with the figures of now, and those that hold and are not in the log yet."""
    _check(store)
    observation = observe(store, now, lambda _: True)
    live = {signal.dedup_key: signal for signal in observation.signals}
    alerts: list[OpenAlert] = []
    for group in store.groups().values():
        alerts += [_open(life, live.pop(life.key, life.signal)) for life in group.lives if life.is_open]
    alerts += [_new(signal) for signal in live.values()]
    alerts.sort(key=lambda one: ({"page": 0, "ticket": 1}.get(one.severity, 2), one.since, one.rule_id, one.subject))
    unheard = [one for one in messages(store, now - timedelta(days=7)) if not _has_arrived(one)]
    return Current(alerts, observation.facts, observation.problem, silences(store, now), unheard)


def history(store: Store, since: datetime, rule: str = "", workspace: str = "") -> list[PastAlert]:
    """Lives that were open after a moment, the newest first."""
    _check(store)
    rows = store.rows(
        "select rule_id, workspace_id, subject, argMax(severity, step) as last_severity, "  # noqa: S608
        "argMax(state, step) as last_state, argMax(value, step) as last_value, "
        "argMax(threshold, step) as last_threshold, min(since) as first_since, max(fired_at) as was_fired_at, "
        "max(told_at) as was_told_at, max(ended_at) as was_ended_at, argMax(acknowledged_by, step) as who, "
        "argMax(note, step) as last_note, "
        "uniqExactIf(message_id, message_id != '' and told_at is not null) as messages "
        f"from {store.places.ops}.alert_log "
        "where ({rule:String} = '' or rule_id = {rule:String}) "
        "and ({workspace:String} = '' or workspace_id = {workspace:String}) "
        "group by rule_id, workspace_id, subject, dedup_key, began_at "
        "having max(at) >= toDateTime64({since:String}, 3, 'UTC') order by min(at) desc, rule_id, subject limit 1000",
        {"rule": rule, "workspace": workspace, "since": since.strftime("%Y-%m-%d %H:%M:%S")},
    )
    return [_past(row) for row in rows]


def messages(store: Store, since: datetime) -> list[SentMessage]:
    """Messages that steps named since a moment, the newest first, with how each channel's delivery stands."""
    ops = store.places.ops
    rows = store.rows(
        "select m.at as at, m.kind as kind, m.title as title, m.thread as thread, m.message_id as message_id, "  # noqa: S608
        f"m.channels as channels, d.outcomes as outcomes from {ops}.alert_messages as m left join "
        "(select message_id, mapFromArrays(groupArray(toString(channel)), groupArray(outcome)) as outcomes from "
        "(select message_id, channel, toString(argMax(outcome, (attempt, written_at))) as outcome "
        f"from {ops}.alert_deliveries group by message_id, channel) group by message_id) as d using message_id "
        f"where m.message_id in (select message_id from {ops}.alert_log) "
        "and m.at >= toDateTime64({since:String}, 3, 'UTC') order by m.at desc, m.step desc limit 1000 "
        "settings join_use_nulls = 0",
        {"since": since.strftime("%Y-%m-%d %H:%M:%S")},
    )
    return [_sent(row) for row in rows]


def open_groups(store: Store, rule: str, workspace: str | None) -> list[Group]:
    """Groups of a rule (and a workspace) with alerts that are not over."""
    _check(store)
    found = store.groups(lambda one: one == rule).values()
    return [
        group
        for group in found
        if workspace in (None, group.workspace_id) and any(life.is_open for life in group.lives)
    ]


def _check(store: Store) -> None:
    """A sentence instead of an error of the engine where the tables are not there yet."""
    try:
        store.rows(f"select 1 from {store.places.ops}.alert_log limit 0")  # noqa: S608
    except ClickHouseError as error:
        if is_not_there(error):
            raise MeterhouseError(f"{store.places.ops}.alert_log is not there: run `meterhouse migrate`.") from error
        raise


def _open(life: Life, signal: Signal) -> OpenAlert:
    return OpenAlert(
        severity=signal.severity, state=life.state.value, rule_id=signal.rule_id, workspace_id=signal.workspace_id,
        subject=signal.subject, says=figures(signal), value=signal.value, threshold=signal.threshold,
        since=signal.since, told_at=life.told_at, waits_for=life.waits_for, acknowledged_by=life.acknowledged_by,
        note=life.note, is_quiet=life.quiet_since is not None, means=meaning(signal.rule_id).what,
        runbook=signal.runbook, dedup_key=life.key,
    )  # fmt: skip


def _new(signal: Signal) -> OpenAlert:
    return OpenAlert(
        severity=signal.severity, state="new", rule_id=signal.rule_id, workspace_id=signal.workspace_id,
        subject=signal.subject, says=figures(signal), value=signal.value, threshold=signal.threshold,
        since=signal.since, told_at=None, waits_for="the next tick", acknowledged_by="", note="", is_quiet=False,
        means=meaning(signal.rule_id).what, runbook=signal.runbook, dedup_key=signal.dedup_key,
    )  # fmt: skip


def _past(row: Mapping[str, object]) -> PastAlert:
    signal = Signal(
        str(row["rule_id"]), str(row["last_severity"]), str(row["workspace_id"]), str(row["subject"]),
        _float(row["last_value"]), _float(row["last_threshold"]), utc(row["first_since"]), utc(row["first_since"]),
        "", "",
    )  # fmt: skip
    count = row["messages"]
    return PastAlert(
        severity=signal.severity, state=str(row["last_state"]), rule_id=signal.rule_id,
        workspace_id=signal.workspace_id, subject=signal.subject, says=figures(signal), since=signal.since,
        fired_at=maybe_utc(row["was_fired_at"]), told_at=maybe_utc(row["was_told_at"]),
        ended_at=maybe_utc(row["was_ended_at"]), acknowledged_by=str(row["who"]), note=str(row["last_note"]),
        messages=count if isinstance(count, int) else 0,
    )  # fmt: skip


def _sent(row: Mapping[str, object]) -> SentMessage:
    outcomes, names = row["outcomes"], row["channels"]
    stands = {str(name): "waiting" for name in names} if isinstance(names, list | tuple) else {}
    if isinstance(outcomes, dict):
        stands |= {str(name): str(outcome) for name, outcome in outcomes.items()}
    return SentMessage(
        at=utc(row["at"]), kind=str(row["kind"]), title=str(row["title"]), thread=str(row["thread"]),
        message_id=str(row["message_id"]), channels=stands,
    )  # fmt: skip


def _has_arrived(message: SentMessage) -> bool:
    """Somebody has it, and nobody's copy is missing."""
    return bool(message.channels) and all(one in ("delivered", "dry_run") for one in message.channels.values())


def _float(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
