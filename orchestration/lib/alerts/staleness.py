"""Tables that are older than they may be, as signals: one a family, judged by the completeness watermark.

A table is stale when data has been complete for longer after its last build than its family allows: the minutes after
which its check `fresh` fails, by thresholds.yml, read at each tick. While the watermark stands still nothing becomes
stale: that the pipeline is behind is another alert's. In: ops.model_builds, a row a build.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from clickhouse_connect.driver.exceptions import ClickHouseError

from ingest.warehouse_errors import is_not_there
from orchestration.lib.alerts.model import Signal
from orchestration.lib.alerts.places import maybe_utc, sql_time, utc
from orchestration.lib.alerts.rules import span
from orchestration.lib.alerts.store import Store
from orchestration.lib.families import Family
from orchestration.lib.quality_thresholds import load_thresholds

RULE: Final = "asset_stale"
_OF_LATE: Final = timedelta(days=1)
_FAMILIES: Final = (Family.FAST, Family.HOURLY, Family.DAILY)


@dataclass(frozen=True, slots=True)
class StaleTables:
    """The signals, one a family; the stale tables in words, of how many that were judged, and up to when."""

    signals: tuple[Signal, ...]
    stale: tuple[str, ...]
    tables: int
    judged_to: datetime
    oldest: timedelta

    def say(self) -> str:
        return (
            f"{len(self.stale)} of {self.tables} tables stale; the oldest is {span(self.oldest.total_seconds())} "
            f"behind what is complete ({self.judged_to:%Y-%m-%d %H:%M:%S} UTC)"
        )


def stale_tables(store: Store, now: datetime, family_of: Mapping[str, str]) -> StaleTables:
    """The tables of the models that are given with their family; what was never built is not judged."""
    rows = _last_builds(store, now, family_of)
    judged_to, limits = complete_to(store, now), _limits()
    ages = {
        str(row["model"]): judged_to - utc(row["began_at"])
        for row in rows
        if family_of.get(str(row["model"])) in limits
    }
    signals = []
    for family, limit in limits.items():
        old = {model: age for model, age in ages.items() if family_of[model] == family and age > limit}
        if old:
            signals.append(_signal(family, max(old.values()), limit, judged_to, now))
    stale = sorted(((age, model) for model, age in ages.items() if age > limits[family_of[model]]), reverse=True)
    worst = tuple(f"{model}: {span(age.total_seconds())} behind" for age, model in stale)
    return StaleTables(tuple(signals), worst, len(ages), judged_to, max([timedelta(), *ages.values()]))


def _last_builds(store: Store, now: datetime, models: Iterable[str]) -> list[Mapping[str, object]]:
    """When each model was built last. Builds of 400 days are kept and a look is only for the last: what was built of
    late is read by the table's order, and the whole story only of the others."""
    table = f"{store.places.ops}.model_builds"
    try:
        found = store.rows(
            f"select model, max(started_at) as began_at from {table} "  # noqa: S608  # our own table
            "where built_at >= toDateTime64({since:String}, 3, 'UTC') group by model",
            {"since": sql_time(now - _OF_LATE)},
        )
        others = sorted({*models} - {str(row["model"]) for row in found})
        found += store.rows(
            f"select model, max(started_at) as began_at from {table} "  # noqa: S608
            "where model in {others:Array(String)} group by model",
            {"others": others},
        )
    except ClickHouseError as error:
        if not is_not_there(error):
            raise
        return []
    return found


def _limits() -> dict[str, timedelta]:
    freshness = load_thresholds().freshness
    return {family.value: timedelta(minutes=freshness.of(family).fail_after_minutes) for family in _FAMILIES}


def complete_to(store: Store, now: datetime) -> datetime:
    """Up to when every topic that is used is complete; now where no loader says (rows may land by other means)."""
    rows = store.rows(
        "select if(countIf(isNull(complete_to)) > 0, null, min(complete_to)) as complete_to "  # noqa: S608
        f"from {store.places.ops}.completeness where produced > 0"
    )
    reported = maybe_utc(rows[0]["complete_to"]) if rows else None
    return min(reported, now) if reported is not None else now


def _signal(family: str, age: timedelta, limit: timedelta, judged_to: datetime, now: datetime) -> Signal:
    subject, since = f"{family} tables", judged_to - age + limit
    key, runbook = f"{RULE}//{subject}", f"docs/runbooks/{RULE}.md"
    return Signal(RULE, "ticket", "", subject, age.total_seconds(), limit.total_seconds(), since, now, runbook, key)
