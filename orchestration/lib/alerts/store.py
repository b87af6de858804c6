"""The alerts' memory in ClickHouse: ops.alert_log and ops.alert_messages.

`write` is a compare-and-set: a step goes in under a token made of the group and the step's number, so of two processes
that decide the same step the first one wins, and the other learns it. The body of a message goes in before the step
that names it; a crash between the two leaves a body that nobody names, which says nothing. Errors are the client's.
"""

import json
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from io import BytesIO
from typing import Final

from clickhouse_connect.driver.client import Client

from ingest.settings import Settings
from ingest.warehouse import insert_settings
from orchestration.lib.alerts.model import Group, Kind, Life, Signal, State, Step, returns_of
from orchestration.lib.alerts.notice import Notice, encode
from orchestration.lib.alerts.places import Places, maybe_utc, sql_time, utc

_READ_BACKS: Final = 6
_READ_BACK_PAUSE_S: Final = 0.3
_BEGINNINGS: Final = "groupUniqArrayIf(at, message_kind = 'firing') as began_at"


class Store:
    """Reads and writes the log. `at` is called with the name of each point between two writes, for tests that kill."""

    def __init__(self, client: Client, settings: Settings, at: Callable[[str], None] = lambda _: None) -> None:
        self.client = client
        self.places = Places(settings)
        self.at = at

    def groups(self, is_judged: Callable[[str], bool] = lambda _: True) -> dict[tuple[str, str], Group]:
        """The groups of the rules asked for in which something is open, as their last step left them."""
        log = f"{self.places.ops}.alert_log"
        rows = self.rows(
            f"select * from {log} where (rule_id, workspace_id, step) in "  # noqa: S608  # our own table
            f"(select rule_id, workspace_id, max(step) from {log} group by rule_id, workspace_id) "
            # What Group.settled drops need not be read: most groups are over.
            "and (state != 'resolved' or (thread != '' and message_kind != 'resolved')) "
            "order by rule_id, workspace_id, logged_at, writer, dedup_key",
        )
        by_key: dict[tuple[str, str], list[Mapping[str, object]]] = {}
        for row in rows:
            if is_judged(str(row["rule_id"])):
                by_key.setdefault((str(row["rule_id"]), str(row["workspace_id"])), []).append(row)
        returns = self._returns([key for key, found in by_key.items() if found[0]["thread"]])
        return {key: _group(found, returns.get(key, 0)) for key, found in by_key.items()}

    def anew(self, keys: Collection[tuple[str, str]], now: datetime) -> dict[tuple[str, str], Group]:
        """Groups of these rules and workspaces in which nothing is open, ready for their next step."""
        found = self._of_groups(f"max(step) as step, {_BEGINNINGS}", keys)
        known = {
            key: Group(*key, step=_int(row["step"]), returns=returns_of([*_times(row["began_at"]), now]))
            for key, row in found.items()
        }
        return {key: known.get(key, Group(*key)) for key in keys}

    def _returns(self, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """How often each group's people were told of a beginning shortly before its present one."""
        found = self._of_groups(_BEGINNINGS, keys)
        return {key: returns_of(_times(row["began_at"])) for key, row in found.items()}

    def _of_groups(
        self, aggregates: str, keys: Collection[tuple[str, str]]
    ) -> dict[tuple[str, str], Mapping[str, object]]:
        """A row of aggregates of the log a group, of those it has."""
        if not keys:
            return {}
        rows = self.rows(
            f"select rule_id, workspace_id, {aggregates} from {self.places.ops}.alert_log "  # noqa: S608
            "where (rule_id, workspace_id) in arrayZip({rules:Array(String)}, {workspaces:Array(String)}) "
            "group by rule_id, workspace_id",
            {"rules": [rule for rule, _ in keys], "workspaces": [workspace for _, workspace in keys]},
        )
        return {(str(row["rule_id"]), str(row["workspace_id"])): row for row in rows}

    def write(self, step: Step, now: datetime, notice: Notice | None, channels: Sequence[str] = ()) -> bool:
        """Records a step with its message; False where somebody else recorded that step first, and nothing is told."""
        if notice is not None:
            self.insert("alert_messages", [_message_row(notice, step, channels)], f"message:{notice.message_id}")
            self.at("message written")
        writer = uuid.uuid4().hex
        rows = [_log_row(step, life, now, writer, notice) for life in step.group.lives]
        token = f"alert:{step.group.rule_id}/{step.group.workspace_id}/{step.group.step}"
        self.insert("alert_log", rows, token)
        winner = self._writer_of(step.group)
        if winner is None:
            # The engine died between writing the token and the rows (ingest/landed.py): the token alone says nothing.
            self.insert("alert_log", rows, f"{token}:again:{writer}")
            winner = self._writer_of(step.group)
        self.at("step written")
        return winner == writer

    def thread_channels(self, thread: str) -> tuple[str, ...]:
        """Channels that any message of a thread went to, fallbacks included: who heard the start hears the end."""
        rows = self.rows(
            "select arrayDistinct(arrayFlatten(groupArray(channels))) as channels from ("  # noqa: S608
            f"select channels from {self.places.ops}.alert_messages where thread = {{thread:String}} union all "
            f"select passed_to from {self.places.ops}.alert_deliveries where message_id in "
            f"(select message_id from {self.places.ops}.alert_messages where thread = {{thread:String}}))",
            {"thread": thread},
        )
        found = rows[0]["channels"] if rows else ()
        return tuple(str(one) for one in found) if isinstance(found, list | tuple) else ()

    def rows(self, query: str, parameters: Mapping[str, object] | None = None) -> list[Mapping[str, object]]:
        """A query's rows by column."""
        found = self.client.query(query, parameters=dict(parameters or {}))
        return [dict(zip(found.column_names, row, strict=True)) for row in found.result_rows]

    def insert(self, table: str, rows: Iterable[Mapping[str, object]], token: str) -> None:
        """One block under one token: whole or not at all, and once."""
        self.client.raw_insert(
            f"{self.places.ops}.{table}",
            insert_block=BytesIO("\n".join(json.dumps(row) for row in rows).encode()),
            fmt="JSONEachRow",
            settings=insert_settings(self.client, token),
        )

    def _writer_of(self, group: Group) -> str | None:
        """Whose the step is; None where no row of it can be seen even after a while."""
        for attempt in range(_READ_BACKS):
            if attempt:
                time.sleep(_READ_BACK_PAUSE_S)
            rows = self.rows(
                f"select writer from {self.places.ops}.alert_log where rule_id = {{rule:String}} "  # noqa: S608
                "and workspace_id = {workspace:String} and step = {step:UInt64} order by logged_at, writer limit 1",
                {"rule": group.rule_id, "workspace": group.workspace_id, "step": group.step},
            )
            if rows:
                return str(rows[0]["writer"])
        return None


def _group(rows: Sequence[Mapping[str, object]], returns: int) -> Group:
    """The rows of a group's last step. Rows of a second writer, which only a lost token allows, do not count."""
    first = rows[0]
    lives = tuple(_life(row) for row in rows if row["writer"] == first["writer"])
    rule_id, workspace_id, thread = str(first["rule_id"]), str(first["workspace_id"]), str(first["thread"])
    group = Group(rule_id, workspace_id, _int(first["step"]), thread, lives, returns)
    return group.settled(Kind(str(first["message_kind"])) if first["message_kind"] else None)


def _life(row: Mapping[str, object]) -> Life:
    signal = Signal(
        rule_id=str(row["rule_id"]),
        severity=str(row["severity"]),
        workspace_id=str(row["workspace_id"]),
        subject=str(row["subject"]),
        value=_float(row["value"]),
        threshold=_float(row["threshold"]),
        since=utc(row["since"]),
        until=utc(row["until"]),
        runbook=str(row["runbook"]),
        dedup_key=str(row["dedup_key"]),
    )
    return Life(
        signal,
        State(str(row["state"])),
        began_at=utc(row["began_at"]),
        fired_at=maybe_utc(row["fired_at"]),
        waits_for=str(row["waits_for"]),
        quiet_since=maybe_utc(row["quiet_since"]),
        ended_at=maybe_utc(row["ended_at"]),
        told_at=maybe_utc(row["told_at"]),
        told_severity=str(row["told_severity"]),
        told_badness=_float(row["told_badness"]),
        acknowledged_by=str(row["acknowledged_by"]),
        note=str(row["note"]),
        change=str(row["change"]),
    )


def _log_row(step: Step, life: Life, now: datetime, writer: str, notice: Notice | None) -> Mapping[str, object]:
    signal, group = life.signal, step.group
    return {
        "rule_id": group.rule_id,
        "workspace_id": group.workspace_id,
        "step": group.step,
        "writer": writer,
        "at": sql_time(now),
        "dedup_key": signal.dedup_key,
        "subject": signal.subject,
        "state": life.state.value,
        "change": life.change,
        "severity": signal.severity,
        "value": signal.value,
        "threshold": signal.threshold,
        "since": _seconds(signal.since),
        "until": _seconds(signal.until),
        "runbook": signal.runbook,
        "began_at": sql_time(life.began_at),
        "fired_at": sql_time(life.fired_at),
        "waits_for": life.waits_for,
        "quiet_since": _seconds(life.quiet_since),
        "ended_at": _seconds(life.ended_at),
        "told_at": sql_time(life.told_at),
        "told_severity": life.told_severity,
        "told_badness": life.told_badness,
        "acknowledged_by": life.acknowledged_by,
        "note": life.note,
        "thread": group.thread,
        "message_id": notice.message_id if notice else "",
        "message_kind": step.kind.value if step.kind else "",
    }


def _message_row(notice: Notice, step: Step, channels: Collection[str]) -> Mapping[str, object]:
    return {
        "message_id": notice.message_id,
        "rule_id": notice.rule_id,
        "workspace_id": notice.workspace_id,
        "step": step.group.step,
        "thread": notice.thread,
        "kind": notice.kind,
        "severity": notice.severity,
        "owner": notice.owner,
        "at": sql_time(notice.at),
        "title": notice.title,
        "body": encode(notice),
        "channels": list(channels),
    }


def _seconds(at: datetime | None) -> str | None:
    text = sql_time(at)
    return text[:19] if text else None


def _times(value: object) -> list[datetime]:
    assert isinstance(value, list | tuple)
    return [utc(one) for one in value]


def _float(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value
