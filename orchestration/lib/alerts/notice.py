"""A message as data: everything a channel may want to say, once, so that each channel only chooses a form.

Stored as JSON in ops.alert_messages when it is decided and sent from there, so every attempt says the same.
"""

from datetime import datetime

import msgspec


class AlertLine(msgspec.Struct, frozen=True, kw_only=True):
    """One alert of the message. `now` is new, worse, holds or ended; `says` is its figures in words."""

    subject: str
    now: str
    severity: str
    value: float
    threshold: float
    since: datetime
    ended_at: datetime | None
    says: str
    dedup_key: str


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One message about one group. `message_id` is new for each state that is told, `thread` the same from its start to
    its end. `more` is how many alerts are not listed. Addresses are empty where none is configured."""

    message_id: str
    thread: str
    kind: str
    severity: str
    rule_id: str
    workspace_id: str
    owner: str
    at: datetime
    title: str
    what: str
    alerts: list[AlertLine]
    more: int
    how_bad: list[str]
    hurts: list[str]
    contributors: list[str]
    complete_to: datetime | None
    remarks: list[str]
    query: str
    query_url: str
    runbook: str
    runbook_url: str

    @property
    def is_over(self) -> bool:
        return self.kind == "resolved"


def encode(notice: Notice) -> str:
    return msgspec.json.encode(notice).decode()


def decode(body: str) -> Notice:
    """Raises msgspec.ValidationError for what is none."""
    return msgspec.json.decode(body, type=Notice)


def moment(at: datetime) -> str:
    """2026-11-23 10:25 UTC"""
    return at.strftime("%Y-%m-%d %H:%M UTC")


def as_text(notice: Notice) -> str:
    """The whole message in plain lines, for mail, terminals and whatever has no form of its own."""
    where = f"workspace {notice.workspace_id}" if notice.workspace_id else "the whole house"
    lines = [notice.what, ""]
    for line in notice.alerts:
        span = f"since {moment(line.since)}" + (f", over at {moment(line.ended_at)}" if line.ended_at else "")
        lines.append(f"- [{line.now}] {line.subject}: {line.says}; {span}")
    if notice.more:
        lines.append(f"- and {notice.more} more")
    for heading, said in (("How bad", notice.how_bad), ("Hurts", notice.hurts), ("Largest", notice.contributors)):
        lines += [f"{heading}: {'; '.join(said)}"] if said else []
    judged = moment(notice.complete_to) if notice.complete_to else "not known"
    lines += [f"Where: {where}; owner {notice.owner or 'nobody named'}; data complete to {judged}", *notice.remarks, ""]
    lines.append(f"Runbook: {notice.runbook_url or notice.runbook}")
    lines.append(f"Look: {notice.query_url or notice.query}")
    lines.append(f"Alert {notice.thread}, message {notice.message_id}")
    return "\n".join(lines)
