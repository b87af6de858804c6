"""What the models say is wrong now, and how far they know: a look at alerts_current, alert_evaluations and slo_clock.

All are small. A rule that failed to build was not judged: what is known of it is as old as its last evaluation. Models
that were never built are an Observation with a `problem`, from which nothing follows: neither that something is wrong
nor that it is over. Other errors are the client's.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from clickhouse_connect.driver.exceptions import ClickHouseError

from ingest.warehouse_errors import is_not_there
from orchestration.lib.alerts.model import BOUNDLESS, Facts, Signal
from orchestration.lib.alerts.places import known_utc, maybe_utc, utc
from orchestration.lib.alerts.rules import span
from orchestration.lib.alerts.store import Store


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen. `of_rules`: how far each rule knows, where it is not as far as `facts`; `contributors`: what a
    sensor saw by itself of what does it, the largest first."""

    signals: tuple[Signal, ...]
    facts: Facts
    of_rules: Mapping[str, Facts] = field(default_factory=dict)
    contributors: tuple[str, ...] = ()
    problem: str = ""

    def facts_of(self, rule_id: str) -> Facts:
        """How far a rule knows; nothing where it was not judged for a day while others were."""
        nothing = Facts(self.facts.now, None, None)
        return self.of_rules.get(rule_id, nothing) if self.of_rules else self.facts

    def behind(self, is_judged: Callable[[str], bool]) -> tuple[str, ...]:
        """Rules that were asked for and judged less far than the watermark."""
        return tuple(
            rule for rule, facts in sorted(self.of_rules.items())
            if is_judged(rule) and facts.complete_to != self.facts.complete_to
        )  # fmt: skip


def observe(store: Store, now: datetime, is_judged: Callable[[str], bool]) -> Observation:
    """The alerts of the rules asked for. How far is read first: what is newer than that waits for the next look."""
    marts = store.places.marts
    try:
        evaluations = store.rows(
            f"select rule_id, argMax(as_of, evaluated_at) as as_of from {marts}.alert_evaluations "  # noqa: S608
            f"where evaluated_at >= (select max(evaluated_at) from {marts}.alert_evaluations) - interval 1 day "
            "group by rule_id"
        )
        clock = store.rows(f"select * from {marts}.slo_clock limit 1")  # noqa: S608  # our own tables
        alerts = store.rows(f"select * from {marts}.alerts_current")  # noqa: S608
    except ClickHouseError as error:
        if not is_not_there(error):
            raise
        return Observation((), Facts(now, None, None), problem="the models are not built yet (`dbt build`)")
    if not clock:
        return Observation((), Facts(now, None, None), problem="marts.slo_clock is empty (`dbt build`)")
    is_unknown = bool(clock[0]["is_unknown"])
    complete_to = None if is_unknown else known_utc(clock[0]["as_of"])
    facts = Facts(now, complete_to, utc(clock[0]["judged_at"]))
    return Observation(
        tuple(_signal(row) for row in alerts if is_judged(str(row["rule_id"]))),
        facts,
        {str(row["rule_id"]): _as_judged(facts, known_utc(row["as_of"])) for row in evaluations},
    )


def _as_judged(facts: Facts, as_of: datetime | None) -> Facts:
    """How far a rule knows that judged up to `as_of`. Its wall clock is that of the build that moved the watermark
    there; another build's says nothing of it."""
    return Facts(facts.now, as_of, facts.judged_at if as_of == facts.complete_to else None)


def completeness(store: Store, now: datetime) -> str:
    """What the loader itself says, in words: the models may be older."""
    rows = store.rows(f"select * from {store.places.ops}.completeness order by topic")  # noqa: S608  # our own view
    said = []
    for row in rows:
        at = maybe_utc(row["complete_to"])
        age = f"complete to {span((now - at).total_seconds())} ago" if at else "not known how far complete"
        silent = ", its loader is silent" if row["is_stale"] else ""
        said.append(f"{row['topic']} {age}, {row['lag']} messages behind{silent}")
    return "; ".join(said) or "no loader has reported"


def _signal(row: Mapping[str, object]) -> Signal:
    return Signal(
        rule_id=str(row["rule_id"]),
        severity=str(row["severity"]),
        workspace_id=str(row["workspace_id"]),
        subject=str(row["subject"]),
        value=_number(row["value"]),
        threshold=_number(row["threshold"]),
        since=utc(row["since"]),
        until=utc(row["until"]),
        runbook=str(row["runbook"]),
        dedup_key=str(row["dedup_key"]),
    )


def _number(value: object) -> float:
    """Finite, so that it can be stored and sent."""
    number = float(value) if isinstance(value, int | float) else BOUNDLESS
    return number if math.isfinite(number) else math.copysign(BOUNDLESS, number) if math.isinf(number) else BOUNDLESS
