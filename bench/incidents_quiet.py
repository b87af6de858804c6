"""A week in which nothing is wrong: every rule, judged again and again, has to say nothing.

Two weeks are landed and built at once, the first for the rules that compare with the past. Then the marts' clock is set
to one moment of the second week after the other, and each rule's own SQL is asked, as dbt compiled it. A rule reads no
event after its clock, so that is what a build at that moment would have said; budgets and daily sums are those of the
whole day, which is stricter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from clickhouse_connect.driver.client import Client

from bench.incidents_house import company
from ingest.settings import Settings
from tests.support.models import Models

END: Final = datetime.fromisoformat("2026-11-20T18:00:00+00:00")
# Of a session of dbt; its statements mean what they mean under these.
_SETTINGS: Final = {"join_use_nulls": 1, "prefer_column_name_to_alias": 1}


@dataclass(frozen=True, slots=True)
class Quiet:
    """How often all rules were asked, and what they said: rows of the alerts' contract."""

    moments: int
    alerts: Sequence[Mapping[str, object]] = field(default_factory=list)


def quiet_week(settings: Settings, client: Client, *, is_quick: bool = False) -> Quiet:
    """The week by half hours; quick: its last day by hours."""
    models = Models(settings, client, END.strftime("%Y-%m-%d %H:%M:%S"))
    models.set_up()
    models.land(one.event for one in company(END, 14 * 24, 40_000 if is_quick else 120_000, ()))
    models.build("-s", "+alerts_current")
    hours, step = (24, 60) if is_quick else (7 * 24, 30)
    return judge_at(models, [END - timedelta(minutes=at) for at in range(0, hours * 60, step)])


def judge_at(models: Models, moments: Sequence[datetime]) -> Quiet:
    """Asks every rule at each moment. Pages, tickets and notices alike are alerts."""
    said: list[Mapping[str, object]] = []
    rules = [path.read_text(encoding="utf-8") for path in _compiled(models)]
    clock = f"{models.settings.database('marts')}.slo_clock"
    for moment in moments:
        at = moment.strftime("toDateTime('%Y-%m-%d %H:%M:%S', 'UTC')")
        models.client.command(
            f"alter table {clock} update as_of = {at}, judged_at = {at} where 1 = 1", settings={"mutations_sync": 2}
        )
        for rule in rules:
            found = models.client.query(rule, settings=_SETTINGS)
            said += [dict(zip(found.column_names, row, strict=True)) for row in found.result_rows]
    return Quiet(len(moments), said)


def _compiled(models: Models) -> list[Path]:
    folder = models.settings.home / "dbt" / "target" / "compiled" / "meterhouse" / "models" / "alerts"
    rules = [path for path in sorted(folder.glob("**/alert_*.sql")) if path.stem != "alert_evaluations"]
    assert rules, f"no compiled rule in {folder}"
    return rules
