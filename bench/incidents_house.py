"""A house whose clock is moved: events land as time goes by, the fast models follow, and what a person is told is kept.

In: a built project (tests.support.models) and a simulated company's events. Out: the messages, with the moment each was
sent at, which is the moved clock's plus the seconds that building and judging took here.
"""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ingest.simulate import SimulationConfig, play
from ingest.simulate.config import MINUTE_MS, IncidentKind, IncidentRequest
from orchestration.lib.alerts.engine import evaluate
from orchestration.lib.alerts.notice import Notice
from tests.support.models import Event, Models

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Incident:
    """One that the simulator makes. `subject` as it takes them: a provider, a tool, a workspace or workspace/agent."""

    kind: IncidentKind
    subject: str
    start: datetime
    minutes: int

    @property
    def end(self) -> datetime:
        return self.start + self.minutes * MINUTE


@dataclass(frozen=True, slots=True)
class Message:
    """What arrived at a person, and when by the moved clock."""

    at: datetime
    notice: Notice

    def is_of(self, rule_id: str, workspace_id: str, subject: str = "") -> bool:
        return (self.notice.rule_id, self.notice.workspace_id) == (rule_id, workspace_id) and any(
            subject in line.subject for line in self.notice.alerts
        )


@dataclass
class House:
    """`waiting` are events that have not landed, in the order of time; `messages` stand as they were sent. Where the
    house is not `is_timed`, building takes no time by the moved clock, whatever machine this is."""

    models: Models
    waiting: list[Event]
    is_timed: bool = True
    messages: list[Message] = field(default_factory=list)
    now: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    builds: int = 0

    def go(self, moment: datetime, *, is_loader_there: bool = True, seen: Iterable[Event] = ()) -> None:
        """The clock moves to `moment`. What happened before it has landed and is complete, unless the loader is away:
        then nothing lands but `seen`, and the watermark stays where it is."""
        began = time.monotonic()
        if is_loader_there:
            text = _text(moment)
            self.models.land(event for event in self.waiting if str(event["occurred_at"]) < text)
            self.waiting = [event for event in self.waiting if str(event["occurred_at"]) >= text]
            self._report(text)
        else:
            self.models.land(seen)
        self.models.variables["now"] = _text(moment)
        # Views and what they stand on come with the first build, as in a new installation.
        self.models.build(*(("--selector", "fast") if self.builds else ("-s", "+alerts_current", "+tool_reliability")))
        # The first one builds days of history; nobody waits for that.
        took = timedelta(seconds=time.monotonic() - began) if self.builds and self.is_timed else timedelta()
        self.builds += 1
        self.now = moment + took
        evaluate(self.models.client, self.models.settings, self.now, {"*": self})

    def _report(self, complete_to: str) -> None:
        """What the loader says of itself when it has everything up to a moment; the watermark is made of it."""
        self.models.client.command(
            f"insert into {self.models.settings.database('ops')}.load_progress (topic, partition, partition_count, "
            f"complete_to, owner) values ('agent_events', 0, 1, '{complete_to}', 'a loader by a moved clock')"
        )

    def send(self, notice: Notice, key: str, *, may_be_second: bool) -> None:
        """Takes each message once, as a pager does that knows the key."""
        del key, may_be_second
        if notice.message_id not in {message.notice.message_id for message in self.messages}:
            self.messages.append(Message(self.now, notice))

    def upcoming(self, until: datetime) -> list[Event]:
        """What happens up to then and has not landed."""
        return [event for event in self.waiting if str(event["occurred_at"]) < _text(until)]

    def told(self, rule_id: str, workspace_id: str, subject: str = "") -> list[Message]:
        return [message for message in self.messages if message.is_of(rule_id, workspace_id, subject)]


def company(
    out: Path, end: datetime, hours: int, events: int, incidents: Sequence[Incident], *, seed: int = 11
) -> list[Event]:
    """A company of three workspaces with nothing late or broken but these incidents, in the order of time."""
    config = SimulationConfig(
        end_ms=_ms(end), hours=hours, events=events, seed=seed, workspaces=3,
        duplicate_rate=0, correction_rate=0, late_rate=0, malformed_rate=0, extra_rate=0,
        incidents=tuple(
            IncidentRequest(one.kind, _ms(one.start), one.minutes * MINUTE_MS, one.subject) for one in incidents
        ),
    )  # fmt: skip
    play.play(config, out=out)
    # In the order of time, which is text of one shape here: producers write it in several.
    sent = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    for event in sent:
        at = event["occurred_at"]
        moment = datetime.fromtimestamp(at / 1000, UTC) if isinstance(at, int) else datetime.fromisoformat(at)
        event["occurred_at"] = moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    return sorted(sent, key=lambda event: str(event["occurred_at"]))


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")
