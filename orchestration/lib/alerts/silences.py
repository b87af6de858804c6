"""Silences in ops.alert_silences: made and ended by people, read at every look."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime

from orchestration.lib.alerts.matching import Matcher, Silence
from orchestration.lib.alerts.places import sql_time, utc
from orchestration.lib.alerts.store import Store


def silences(store: Store, ending_after: datetime) -> list[Silence]:
    """Those that hold, or will, after a moment; the oldest first."""
    rows = store.rows(
        f"select * from {store.places.ops}.alert_silences final "  # noqa: S608  # our own table
        "where ends_at > {now:DateTime('UTC')} order by created_at, silence_id",
        {"now": ending_after.replace(tzinfo=None, microsecond=0)},
    )
    return [_silence(row) for row in rows]


def add(
    store: Store, matcher: Matcher, *, now: datetime, starts_at: datetime, ends_at: datetime, reason: str, who: str
) -> Silence:
    """Makes a silence."""
    made = Silence(uuid.uuid4().hex[:8], matcher, starts_at, ends_at, reason, who, now)
    _write(store, made, 1)
    return made


def end(store: Store, silence: Silence, now: datetime) -> Silence:
    """Ends one now; it stays in the table, as over."""
    starts_at = min(silence.starts_at, now)
    ended = Silence(
        silence.silence_id, silence.matcher, starts_at, now, silence.reason, silence.created_by, silence.created_at
    )
    _write(store, ended, int(now.timestamp() * 1000))
    return ended


def _write(store: Store, silence: Silence, version: int) -> None:
    matcher = silence.matcher
    row = {
        "silence_id": silence.silence_id,
        "rule_id": _pattern(matcher.rule),
        "workspace_id": _pattern(matcher.workspace),
        "subject": _pattern(matcher.subject),
        "severity": _pattern(matcher.severity),
        "starts_at": (sql_time(silence.starts_at) or "")[:19],
        "ends_at": (sql_time(silence.ends_at) or "")[:19],
        "reason": silence.reason,
        "created_by": silence.created_by,
        "created_at": sql_time(silence.created_at),
        "version": version,
    }
    store.insert("alert_silences", [row], f"silence:{silence.silence_id}:{version}")


def _silence(row: Mapping[str, object]) -> Silence:
    matcher = Matcher(
        rule=_patterns(row["rule_id"]),
        workspace=_patterns(row["workspace_id"]),
        subject=_patterns(row["subject"]),
        severity=_patterns(row["severity"]),
    )
    return Silence(
        str(row["silence_id"]),
        matcher,
        utc(row["starts_at"]),
        utc(row["ends_at"]),
        str(row["reason"]),
        str(row["created_by"]),
        utc(row["created_at"]),
    )


def _pattern(patterns: Sequence[str]) -> str:
    return patterns[0] if patterns else ""


def _patterns(value: object) -> tuple[str, ...]:
    return (str(value),) if value else ()
