"""One look and one round of delivery, without Dagster: what a sensor's tick, the command line and the bench call.

    outcome = evaluate(client, settings, now)                        as configured
    outcome = evaluate(client, settings, now, channels={"*": mine})  everything goes to `mine`, whatever the routes say

`now` is the clock's time, which a test may move: waiting, reminders, retries and leases go by it. A look may be
repeated, interrupted and made by several processes at once; what people are told is decided once (store.py).
"""

import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from clickhouse_connect.driver.client import Client

from ingest.settings import Settings
from orchestration.lib.alerts import silences
from orchestration.lib.alerts.channels import Channel, channel_of
from orchestration.lib.alerts.compose import compose, worst_signals
from orchestration.lib.alerts.delivery import Delivered, Postman
from orchestration.lib.alerts.details import details
from orchestration.lib.alerts.machine import advance
from orchestration.lib.alerts.matching import quieted_by
from orchestration.lib.alerts.model import Facts, Kind, Signal, State, Step, by_group
from orchestration.lib.alerts.notice import moment
from orchestration.lib.alerts.observe import Observation, observe
from orchestration.lib.alerts.routes import Routes, dry_run_reason, load_routes
from orchestration.lib.alerts.rules import page_link, query_link, span, statement
from orchestration.lib.alerts.store import Store

# Rules whose signals a sensor makes; what marts.alerts_current says is never theirs.
SENSOR_RULES = frozenset({"asset_stale", "run_failed", "warehouse_unreachable"})


@dataclass(slots=True)
class Judged:
    """What a look saw and decided, in numbers. `told` are the messages it wrote, by kind."""

    facts: Facts
    signals: int = 0
    groups: int = 0
    firing: int = 0
    waiting: dict[str, int] = field(default_factory=dict)
    steps: int = 0
    lost_races: int = 0
    stale_rules: tuple[str, ...] = ()
    told: list[tuple[Kind, str]] = field(default_factory=list)
    problem: str = ""

    def say(self) -> str:
        """One sentence, also where nothing happened."""
        if self.problem:
            return f"nothing judged: {self.problem}"
        complete_to = self.facts.complete_to
        behind = span((self.facts.now - complete_to).total_seconds()) if complete_to else ""
        known = f"data complete to {moment(complete_to)} ({behind} ago)" if complete_to else "completeness not known"
        waits = ", ".join(f"{number} wait for {reason}" for reason, number in sorted(self.waiting.items()))
        messages = ", ".join(f"{kind.value} {name}" for kind, name in self.told) or "none"
        races = f"; {self.lost_races} steps were another process's" if self.lost_races else ""
        old = f"; not judged as far: {', '.join(self.stale_rules)}" if self.stale_rules else ""
        return (
            f"{self.signals} alerts hold in {self.groups} groups, {self.firing} fire{f', {waits}' if waits else ''}; "
            f"{known}; {self.steps} steps logged; messages: {messages}{races}{old}"
        )


@dataclass(slots=True)
class Evaluated:
    """A look and a round of delivery."""

    judged: Judged
    delivered: Delivered

    def say(self) -> str:
        return f"{self.judged.say()}; {self.delivered.say()}"


def evaluate(
    client: Client,
    settings: Settings,
    now: datetime,
    channels: Mapping[str, Channel] | None = None,
    *,
    routes: Routes | None = None,
    is_judged: Callable[[str], bool] = lambda rule_id: rule_id not in SENSOR_RULES,
    environ: Mapping[str, str] = os.environ,
    at: Callable[[str], None] = lambda _: None,
) -> Evaluated:
    """Looks at marts.alerts_current, records what follows, and delivers what is due.

    `channels`, by name or "*" for any, replace those of the file and make the delivery real. `at` is called at each
    point between two writes. Raises what the client raises, and RoutesError.
    """
    used = routes or load_routes(settings.alert_routes)
    store = Store(client, settings, at)
    judged = look(store, settings, used, now, is_judged)
    return Evaluated(judged, postman(store, settings, used, channels, environ).round(now))


def look(store: Store, settings: Settings, routes: Routes, now: datetime, is_judged: Callable[[str], bool]) -> Judged:
    """Judges the rules asked for by what the models say; sends nothing."""
    observation = observe(store, now, is_judged)
    store.at("read")
    return judge(store, settings, routes, observation, is_judged)


def judge(
    store: Store, settings: Settings, routes: Routes, observation: Observation, is_judged: Callable[[str], bool]
) -> Judged:
    """Records every step that follows from an observation of all alerts of the rules asked for."""
    report = Judged(observation.facts, signals=len(observation.signals), problem=observation.problem)
    if observation.problem:
        return report
    now = observation.facts.now
    report.stale_rules = observation.behind(is_judged)
    groups, signals = store.groups(is_judged), by_group(list(observation.signals))
    groups |= store.anew([key for key in signals if key not in groups], now)
    quiet = silences.silences(store, now)
    # Pages first: should the tick be cut short, they are out.
    keys = sorted(
        {*groups, *signals}, key=lambda key: (-max((one.rank for one in signals.get(key, ())), default=0), key)
    )
    for key in keys:
        group = groups[key]
        step = advance(
            group, signals.get(key, ()), observation.facts_of(key[0]), routes.rule(key[0]),
            lambda signal: quieted_by(signal, now, quiet, routes.maintenance),
        )  # fmt: skip
        was_written = step is None or tell(store, settings, routes, step, observation)
        if step is not None and was_written:
            report.steps += 1
            group = step.group
            report.told += [(step.kind, group.name)] if step.kind else []
        report.lost_races += not was_written
        open_lives = [life for life in group.lives if life.is_open]
        report.groups += bool(open_lives)
        report.firing += sum(life.state is not State.PENDING for life in open_lives)
        for life in open_lives:
            if life.waits_for:
                report.waiting[life.waits_for] = report.waiting.get(life.waits_for, 0) + 1
    return report


def tell(store: Store, settings: Settings, routes: Routes, step: Step, observation: Observation) -> bool:
    """Records a step, with its message where it has one; False where another process was first."""
    facts = observation.facts
    if step.kind is None:
        return store.write(step, facts.now, None)
    signals = worst_signals(step)
    worst = signals[0]
    found = details(store, signals, max(signal.until for signal in signals))
    found.contributors += observation.contributors[:3]
    owner = found.owner or routes.owner(worst.rule_id)
    sql = statement(worst, marts=store.places.marts.strip("`"), ops=store.places.ops.strip("`"))
    link = page_link(routes.links.dagster, worst.rule_id) or query_link(_query_base(settings, routes), sql)
    notice = compose(
        step, uuid.uuid4().hex, facts, found, owner=owner, query=sql,
        query_url=link, docs=routes.links.docs,
    )  # fmt: skip
    channels: Sequence[str] = routes.channels_for(
        rule=worst.rule_id, workspace=worst.workspace_id, severity=notice.severity, owner=owner
    )
    if step.kind is Kind.RESOLVED:
        # Who heard of it hears that it is over, also where the routes say otherwise by now.
        channels = store.thread_channels(step.group.thread) or channels
    return store.write(step, facts.now, notice, channels)


def observation_of(signals: Sequence[Signal], now: datetime, contributors: Sequence[str]) -> Observation:
    """What a sensor saw by itself, just now and completely."""
    return Observation(tuple(signals), Facts(now, now, now), contributors=tuple(contributors))


def postman(
    store: Store,
    settings: Settings,
    routes: Routes,
    channels: Mapping[str, Channel] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Postman:
    """Who delivers: to the channels given, or to those of the file; nowhere where the environment is not a live one."""

    def open_channel(name: str) -> Channel:
        given = (channels or {}).get(name) or (channels or {}).get("*")
        return given or channel_of(routes, name, environ)

    reason = "" if channels is not None else dry_run_reason(routes, settings.environment)
    return Postman(store, routes, open_channel, dry_run_reason=reason)


def _query_base(settings: Settings, routes: Routes) -> str:
    """The address before the SQL: what the file says; of the ClickHouse in use, without user and password."""
    if routes.links.query != "auto":
        return routes.links.query
    address = settings.clickhouse
    scheme = "https" if address.secure else "http"
    return f"{scheme}://{address.host}:{address.port}/?default_format=PrettyCompact&query="
