"""A house whose clock is moved: events land as time goes by, the fast models follow, and what a person is told is kept.

In: a built project (tests.support.models) and a simulated company's events as they arrive, some late, twice or
corrected. Out: the messages, with the moment each was sent at: the moved clock's, plus what building and judging took.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from ingest.simulate import Simulation, SimulationConfig
from ingest.simulate.config import MINUTE_MS, IncidentKind, IncidentRequest
from orchestration.lib.alerts.engine import evaluate
from orchestration.lib.alerts.notice import Notice
from tests.support.models import Event, Models

MINUTE = timedelta(minutes=1)
# A loader says that everything is in up to a moment that has just passed.
_WATERMARK_TRAILS: Final = timedelta(seconds=5)


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
class Arrival:
    """An event, and when it comes. Copies and corrections are arrivals of their own; a late one may come days later."""

    at: datetime
    event: Event


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
    """`waiting` is what has not landed, by arrival; `messages` stand as they were sent. `spent_s` says how many seconds
    of work were done so far (of processors, so that a crowded machine tells nobody late); without it building takes no
    time by the moved clock."""

    models: Models
    waiting: list[Arrival]
    spent_s: Callable[[], float] = lambda: 0.0
    messages: list[Message] = field(default_factory=list)
    now: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    builds: int = 0

    def go(self, moment: datetime, *, is_loader_there: bool = True, seen: Iterable[Event] = ()) -> None:
        """The clock moves to `moment`. What came before it has landed and is complete, unless the loader is away: then
        nothing lands but `seen`, and the watermark stays where it is."""
        began_s = self.spent_s()
        if is_loader_there:
            self.models.land(one.event for one in self.waiting if one.at < moment)
            self.waiting = [one for one in self.waiting if one.at >= moment]
            self._report(_text(moment - _WATERMARK_TRAILS))
        else:
            self.models.land(seen)
        self.models.variables["now"] = _text(moment)
        # Views and what they stand on come with the first build, as in a new installation.
        self.models.build(*(("--selector", "fast") if self.builds else ("-s", "+alerts_current", "+tool_reliability")))
        # The first one builds days of history; nobody waits for that.
        took = timedelta(seconds=self.spent_s() - began_s) if self.builds else timedelta()
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
        """What comes up to then and has not landed."""
        return [one.event for one in self.waiting if one.at < until]

    def told(self, rule_id: str, workspace_id: str, subject: str = "") -> list[Message]:
        return [message for message in self.messages if message.is_of(rule_id, workspace_id, subject)]


def company(
    end: datetime, hours: int, events: int, incidents: Sequence[Incident], *, workspaces: int = 3, seed: int = 11
) -> list[Arrival]:
    """A company with these incidents and nothing else out of the ordinary, by arrival: of its events some are late,
    sent twice or corrected, at the simulator's usual rates. What a loader refuses or rewrites is left out here."""
    config = SimulationConfig(
        end_ms=_ms(end), hours=hours, events=events, seed=seed, workspaces=workspaces, malformed_rate=0, extra_rate=0,
        incidents=tuple(
            IncidentRequest(one.kind, _ms(one.start), one.minutes * MINUTE_MS, one.subject) for one in incidents
        ),
    )  # fmt: skip
    found = [
        Arrival(datetime.fromtimestamp(arrived_ms / 1000, UTC), _landed(json.loads(line), occurred_ms))
        for chunk in Simulation(config).chunks()
        for line, arrived_ms, occurred_ms in zip(
            chunk.values, chunk.rows["arrival_ms"].tolist(), chunk.rows["at_ms"].tolist(), strict=True
        )
    ]
    return sorted(found, key=lambda one: one.at)


def _landed(event: Event, occurred_ms: int) -> Event:
    """As it stands in raw: producers write times in several shapes."""
    at = datetime.fromtimestamp(occurred_ms / 1000, UTC)
    return {**event, "occurred_at": at.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]}


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")
