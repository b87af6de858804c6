"""What the models say is wrong now, and how far they know: one look at marts.alerts_current and marts.slo_clock.

Both are small tables. Models that were never built are an Observation with a `problem`, from which nothing follows:
neither that something is wrong nor that it is over. Other errors are the client's.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from clickhouse_connect.driver.exceptions import ClickHouseError

from ingest.warehouse import UNKNOWN_DATABASE
from ingest.warehouse_errors import code_of
from orchestration.lib.alerts.model import BOUNDLESS, Facts, Signal
from orchestration.lib.alerts.places import known_utc, utc
from orchestration.lib.alerts.store import Store

_UNKNOWN_TABLE: Final = 60


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen. `lag_messages` and `is_loader_silent` as in marts.slo_clock."""

    signals: tuple[Signal, ...]
    facts: Facts
    lag_messages: int = 0
    is_loader_silent: bool = False
    problem: str = ""


def observe(store: Store, now: datetime, is_judged: Callable[[str], bool]) -> Observation:
    """The alerts of the rules asked for. The clock is read first: an alert newer than it waits for the next look."""
    marts = store.places.marts
    try:
        clock = store.rows(f"select * from {marts}.slo_clock limit 1")  # noqa: S608  # our own tables
        alerts = store.rows(f"select * from {marts}.alerts_current")  # noqa: S608
    except ClickHouseError as error:
        if code_of(error) not in (_UNKNOWN_TABLE, UNKNOWN_DATABASE):
            raise
        return Observation((), Facts(now, None, None), problem="the models are not built yet (`dbt build`)")
    if not clock:
        return Observation((), Facts(now, None, None), problem="marts.slo_clock is empty (`dbt build`)")
    is_unknown = bool(clock[0]["is_unknown"])
    complete_to = None if is_unknown else known_utc(clock[0]["as_of"])
    lag = clock[0]["lag_messages"]
    return Observation(
        tuple(_signal(row) for row in alerts if is_judged(str(row["rule_id"]))),
        Facts(now, complete_to, utc(clock[0]["judged_at"])),
        lag if isinstance(lag, int) else 0,
        bool(clock[0]["is_loader_silent"]),
    )


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
