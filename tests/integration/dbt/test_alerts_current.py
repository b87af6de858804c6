"""What alerts_current and alert_evaluations let a reader conclude: what holds, what is over, what nobody has judged."""

import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest

from tests.support.models import Models

BUDGETS = ("alert_budget_hard", "alert_budget_soft")
BOARDS = ("alerts_current", "alert_evaluations")


@pytest.fixture(scope="module")
def judged(models: Models) -> Models:
    """A day's budget of 120 USD, of which one call spent 150: soft and hard are over."""
    models.land(
        [
            {
                "event_id": str(uuid.UUID(int=1)),
                "event_type": "llm_call",
                "occurred_at": "2026-11-20 09:10:00.000",
                "workspace_id": "spender",
                "agent": "clerk",
                "status": "ok",
                "cost_usd": 150,
            }
        ]
    )
    models.build("-s", "+alert_budget_hard", "+alert_budget_soft", "+alert_pipeline_behind")
    return models


def _rules(models: Models) -> set[object]:
    return {row["rule_id"] for row in models.rows("marts.alerts_current", "rule_id")}


def _judged_at(models: Models) -> Mapping[str, datetime]:
    """By rule, when it was judged last."""
    rows = models.rows("marts.alert_evaluations", "rule_id, max(evaluated_at) as at", "1 = 1 group by rule_id")
    return {str(row["rule_id"]): at for row in rows if isinstance(at := row["at"], datetime)}


@contextmanager
def _changed(models: Models, change: str, back: str) -> Iterator[None]:
    marts = models.settings.database("marts")
    models.client.command(change.format(marts=marts), settings={"mutations_sync": 2})
    try:
        yield
    finally:
        models.client.command(back.format(marts=marts), settings={"mutations_sync": 2})


def test_a_rule_stands_in_alerts_current_once_it_is_built_and_goes_when_it_does_not_hold(judged: Models) -> None:
    assert _rules(judged) == {"budget_hard", "budget_soft"}
    before = _judged_at(judged)
    spent = "alter table {marts}.budget_spent_daily update cost_usd = "
    with _changed(judged, f"{spent} 100 where cost_usd = 150", f"{spent} 150 where cost_usd = 100"):
        judged.build("-s", *BUDGETS)
        assert _rules(judged) == {"budget_soft"}
    after = _judged_at(judged)
    assert all(after[rule] > before[rule] for rule in ("budget_hard", "budget_soft"))
    assert after["pipeline_behind"] == before["pipeline_behind"]
    judged.build("-s", *BUDGETS)
    assert judged.rows("marts.alert_budget_hard", "subject, value") == [
        {"subject": "day budget of the workspace", "value": 150.0}
    ]


def test_after_the_clock_was_set_back_the_newest_evaluation_is_the_newest_all_the_same(judged: Models) -> None:
    before = _judged_at(judged)["pipeline_behind"]
    judged.variables["now"] = (before - timedelta(hours=1)).strftime("%Y-%m-%d %H:%M:%S")
    try:
        judged.build("-s", "alert_pipeline_behind")
    finally:
        del judged.variables["now"]
    assert _judged_at(judged)["pipeline_behind"] > before


def test_a_rule_that_cannot_be_judged_keeps_what_it_said_and_hides_no_other(judged: Models) -> None:
    before = _judged_at(judged)
    rename = "rename table {{marts}}.{} to {{marts}}.{}"
    away, back = rename.format("budget_spent_daily", "away"), rename.format("away", "budget_spent_daily")
    with _changed(judged, away, back), pytest.raises(AssertionError, match="alert_budget_hard: error"):
        judged.build("-s", *BUDGETS, "alert_pipeline_behind", *BOARDS)
    after = _judged_at(judged)
    assert _rules(judged) == {"budget_hard", "budget_soft"}
    assert {rule for rule in after if after[rule] > before[rule]} == {"pipeline_behind"}


def test_a_reader_never_misses_an_alert_that_holds_while_it_is_judged_again(judged: Models) -> None:
    seen: list[set[object]] = []
    is_over = threading.Event()

    def read() -> None:
        while not is_over.is_set():
            seen.append(_rules(judged))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        judged.build("-s", *BUDGETS, *BOARDS)
    finally:
        is_over.set()
        reader.join()
    assert len(seen) > 10
    assert [rules for rules in seen if rules != {"budget_hard", "budget_soft"}] == []


def test_what_a_deleted_rule_said_goes_with_the_next_build(judged: Models) -> None:
    marts = judged.settings.database("marts")
    for board in BOARDS:
        judged.client.command(f"insert into {marts}.{board} (rule_id) values ('was_deleted')")
    judged.build("-s", *BOARDS)
    assert "was_deleted" not in _rules(judged) | _judged_at(judged).keys()
    assert "budget_hard" in _rules(judged)
