"""Delivers what the log says is due: claim, send, record; a crash between any two of them neither loses nor doubts more
than that one attempt.

Before an attempt its claim goes in under a token, so of several processes one sends. What was claimed and has no end is
tried again after its lease with the same key, and says that it may be the second time.
"""

import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec
import structlog
from clickhouse_connect.driver.exceptions import ClickHouseError

from orchestration.lib.alerts.channels import Channel, ChannelError, channel_of
from orchestration.lib.alerts.notice import Notice, as_text, decode
from orchestration.lib.alerts.outbox import Attempt, Entry, Letter, Outcome, after_failure, due
from orchestration.lib.alerts.places import maybe_utc, sql_time, utc
from orchestration.lib.alerts.routes import Routes
from orchestration.lib.alerts.store import Store

# What was decided so long before it could be given up is history.
_HORIZON: Final = timedelta(days=7)
_READ_BACKS, _READ_BACK_PAUSE_S = 6, 0.3
_RECORDINGS: Final = 3
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Delivered:
    """What a round came to, in numbers; `waiting` are receivers of messages that are due later."""

    delivered: int = 0
    dry_run: int = 0
    failed: int = 0
    given_up: int = 0
    waiting: int = 0
    troubles: list[str] = field(default_factory=list)

    def say(self) -> str:
        counts = (
            f"{self.delivered} delivered, {self.failed} failed, {self.given_up} given up, {self.waiting} waiting"
            f"{f', {self.dry_run} dry run' if self.dry_run else ''}"
        )
        return f"messages: {counts}" + "".join(f"; {one}" for one in self.troubles[:5])


class Postman:
    """Delivers for one installation. `open_channel` gives the channel of a name, with its secrets, or ChannelError."""

    def __init__(
        self, store: Store, routes: Routes, open_channel: Callable[[str], Channel], *, dry_run_reason: str = ""
    ) -> None:
        self._store = store
        self._routes = routes
        self._open = open_channel
        self._dry_run_reason = dry_run_reason
        self._owner = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"

    def round(self, now: datetime, budget_s: float = 20.0) -> Delivered:
        """Every attempt that is due, one after the other, until the budget is used up; the rest waits for the next."""
        began, report = time.monotonic(), Delivered()
        # What one delivery frees (the next of its thread, a copy for a fallback) is due at once.
        tried: set[tuple[str, str]] = set()
        while True:
            letters = self.letters(now)
            attempts = [one for one in due(letters, now, self._leases()) if (one.key, str(one.number)) not in tried]
            if self._dry_run_reason and attempts:
                self._note(attempts, now, report)
                continue
            for attempt in attempts:
                if time.monotonic() - began > budget_s:
                    break
                tried.add((attempt.key, str(attempt.number)))
                self._try(attempt, now, report)
            if not attempts or time.monotonic() - began > budget_s:
                break
        open_ones = self.letters(now) if attempts else letters
        report.waiting = sum(not one.is_finished(name) for one in open_ones for name in one.receivers)
        return report

    def letters(self, now: datetime) -> list[Letter]:
        """Messages that some step names and some channel has not finished."""
        ops = self._store.places.ops
        since = sql_time(now - self._routes.delivery.give_up_after - _HORIZON)
        # Without the bodies: nearly always there is none.
        unfinished = self._store.rows(
            "with ended as (select message_id, groupUniqArrayIf(channel, outcome in "  # noqa: S608  # our own tables
            "('delivered', 'given_up', 'dry_run')) as finished, arrayFlatten(groupArray(passed_to)) as passed "
            f"from {ops}.alert_deliveries group by message_id) "
            f"select m.message_id as message_id from {ops}.alert_messages as m "
            "left join ended on m.message_id = ended.message_id "
            "where m.at >= toDateTime64({since:String}, 3, 'UTC') "
            "and notEmpty(arrayFilter(c -> not has(ended.finished, c), arrayConcat(m.channels, ended.passed))) "
            "settings join_use_nulls = 0",
            {"since": since},
        )
        if not unfinished:
            return []
        # Only what a step names, and of two writers of one step the first.
        rows = self._store.rows(
            "select message_id, thread, step, at, channels, body "  # noqa: S608
            f"from {ops}.alert_messages where message_id in {{ids:Array(String)}} and message_id in ("
            f"select argMin(message_id, (logged_at, writer)) from {ops}.alert_log "
            f"where (rule_id, workspace_id, step) in (select rule_id, workspace_id, step from {ops}.alert_messages "
            "where message_id in {ids:Array(String)}) group by rule_id, workspace_id, step) order by at, step",
            {"ids": [str(row["message_id"]) for row in unfinished]},
        )
        entries = self._entries([str(row["message_id"]) for row in rows])
        return [
            Letter(
                str(row["message_id"]),
                str(row["thread"]),
                utc(row["at"]),
                _names(row["channels"]),
                str(row["body"]),
                tuple(entry for entry in entries if entry.message_id == row["message_id"]),
                int(str(row["step"])),
            )
            for row in rows
        ]

    def _entries(self, message_ids: Sequence[str]) -> list[Entry]:
        if not message_ids:
            return []
        rows = self._store.rows(
            f"select * from {self._store.places.ops}.alert_deliveries "  # noqa: S608
            "where message_id in {ids:Array(String)} order by message_id, channel, attempt, written_at, owner",
            {"ids": list(message_ids)},
        )
        return [_entry(row) for row in rows]

    def _leases(self) -> Mapping[str, timedelta]:
        """Twice what an attempt can take, and a while for what is between its writes."""
        return {name: 2 * one.timeout + timedelta(seconds=30) for name, one in self._routes.channels.items()}

    def _note(self, attempts: Sequence[Attempt], now: datetime, report: Delivered) -> None:
        """A dry run: what would have been sent, in the log of this process and of the house."""
        for attempt in attempts:
            _log.info("alert not sent", channel=attempt.channel, reason=self._dry_run_reason, text=_text(attempt))
        entries = [self._entry(attempt, Outcome.DRY_RUN, now, self._dry_run_reason) for attempt in attempts]
        if entries:
            self._store.insert("alert_deliveries", map(_row, entries), f"dry:{uuid.uuid4().hex}")
        report.dry_run += len(entries)

    def _try(self, attempt: Attempt, now: datetime, report: Delivered) -> None:
        if not self._claim(attempt, now):
            return
        self._store.at("claimed")
        try:
            notice = _notice(attempt)
            self._open(attempt.channel).send(notice, attempt.key, may_be_second=attempt.may_be_second)
        except ChannelError as error:
            self._failed(attempt, now, error, report)
            return
        self._store.at("sent")
        self._record(self._entry(attempt, Outcome.DELIVERED, now))
        self._store.at("recorded")
        report.delivered += 1

    def _failed(self, attempt: Attempt, now: datetime, error: ChannelError, report: Delivered) -> None:
        entry = after_failure(
            attempt, now, self._routes.delivery, self._routes.fallback, is_final=error.is_final,
            is_unknown=error.is_unknown, retry_after_s=error.retry_after_s, detail=str(error), owner=self._owner,
        )  # fmt: skip
        self._record(entry)
        is_over = entry.outcome is Outcome.GIVEN_UP
        report.given_up += is_over
        report.failed += not is_over
        passed = f", passed to {', '.join(entry.passed_to)}" if entry.passed_to else ""
        done = "given up" if is_over else f"attempt {attempt.number} failed"
        report.troubles.append(f"{attempt.channel}: {done} ({error}){passed}")
        say = _log.error if is_over else _log.warning
        say("alert not delivered", channel=attempt.channel, attempt=attempt.number, reason=str(error), thread=attempt.letter.thread)  # fmt: skip # noqa: E501

    def _claim(self, attempt: Attempt, now: datetime) -> bool:
        """Whether this process is the one that makes the attempt."""
        row = _row(self._entry(attempt, Outcome.CLAIMED, now))
        token = f"send:{attempt.key}:{attempt.number}"
        self._store.insert("alert_deliveries", [row], token)
        winner = self._claimed_by(attempt)
        if winner is None:
            # A token without its row, see ingest/landed.py.
            self._store.insert("alert_deliveries", [row], f"{token}:again:{self._owner}")
            winner = self._claimed_by(attempt)
        return winner == self._owner

    def _claimed_by(self, attempt: Attempt) -> str | None:
        for number in range(_READ_BACKS):
            if number:
                time.sleep(_READ_BACK_PAUSE_S)
            rows = self._store.rows(
                f"select owner from {self._store.places.ops}.alert_deliveries where message_id = {{id:String}} "  # noqa: S608
                "and channel = {channel:String} and attempt = {attempt:UInt32} order by written_at, owner limit 1",
                {"id": attempt.letter.message_id, "channel": attempt.channel, "attempt": attempt.number},
            )
            if rows:
                return str(rows[0]["owner"])
        return None

    def _entry(self, attempt: Attempt, outcome: Outcome, now: datetime, detail: str = "") -> Entry:
        letter = attempt.letter
        return Entry(letter.message_id, attempt.channel, attempt.number, outcome, now, detail=detail, owner=self._owner)

    def _record(self, entry: Entry) -> None:
        """Tries a few times: what is not recorded is sent again."""
        token = f"ended:{entry.message_id}/{entry.channel}:{entry.attempt}:{entry.owner}"
        for attempt in range(_RECORDINGS):
            try:
                self._store.insert("alert_deliveries", [_row(entry)], token)
            except ClickHouseError:
                if attempt == _RECORDINGS - 1:
                    raise
                time.sleep(_READ_BACK_PAUSE_S)
            else:
                return


def send_past_the_log(routes: Routes, name: str, notice: Notice, key: str, dry_run_reason: str) -> None:
    """One message to one channel at once, with nothing recorded: for when the log cannot be written."""
    if dry_run_reason:
        _log.info("alert not sent", channel=name, reason=dry_run_reason, text=f"{notice.title}\n{as_text(notice)}")
        return
    channel_of(routes, name, os.environ).send(notice, key, may_be_second=False)


def _notice(attempt: Attempt) -> Notice:
    """What is sent: a copy for a fallback says whom it stands in for."""
    letter = attempt.letter
    try:
        notice = decode(letter.body)
    except msgspec.DecodeError as error:
        raise ChannelError(f"the message {letter.message_id} cannot be read ({error})", is_final=True) from error
    if attempt.channel in letter.channels:
        return notice
    failed = {entry.channel: entry.detail for entry in letter.entries if attempt.channel in entry.passed_to}
    reasons = ", ".join(f"{name} ({detail})" for name, detail in failed.items())
    return msgspec.structs.replace(notice, remarks=[f"Sent here because it did not reach {reasons}.", *notice.remarks])


def _text(attempt: Attempt) -> str:
    notice = _notice(attempt)
    return f"{notice.title}\n{as_text(notice)}"


def _entry(row: Mapping[str, object]) -> Entry:
    attempt = row["attempt"]
    assert isinstance(attempt, int)
    return Entry(
        str(row["message_id"]),
        str(row["channel"]),
        attempt,
        Outcome(str(row["outcome"])),
        utc(row["at"]),
        retry_at=maybe_utc(row["retry_at"]),
        passed_to=_names(row["passed_to"]),
        detail=str(row["detail"]),
        owner=str(row["owner"]),
    )


def _row(entry: Entry) -> Mapping[str, object]:
    return {
        "message_id": entry.message_id,
        "channel": entry.channel,
        "attempt": entry.attempt,
        "outcome": entry.outcome.value,
        "at": sql_time(entry.at),
        "retry_at": sql_time(entry.retry_at),
        "passed_to": list(entry.passed_to),
        "detail": entry.detail[:500],
        "owner": entry.owner,
    }


def _names(value: object) -> tuple[str, ...]:
    return tuple(str(one) for one in value) if isinstance(value, list | tuple) else ()
