"""What a price change does to the past is on record, to the call; what else arrived meanwhile is not."""

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tests.support.models import Event, Models, Rows

BASE = datetime(2026, 11, 20, 11, tzinfo=UTC)
RESTATED = ("--select", "+cost_restatements", "+workspace_cost_daily")
# Workspaces that no other test negotiates prices for: the seed is not read again in between.
COLUMNS = "workspace_id, reason, llm_calls, old_cost_usd, new_cost_usd, difference_usd"


def _call(number: int, workspace_id: str, million_tokens: int) -> Event:
    return {
        "event_id": str(uuid.UUID(int=number)),
        "event_type": "llm_call",
        "occurred_at": (BASE - timedelta(hours=3)).strftime("%Y-%m-%d %H:%M:%S.000"),
        "workspace_id": workspace_id,
        "provider": "openai",
        "model": "gpt-4o",
        "input_tokens": million_tokens * 1_000_000,
        "output_tokens": 0,
        "status": "ok",
    }


def _restated(models: Models) -> Rows:
    return models.rows("marts.cost_restatements", COLUMNS)


def _row(workspace_id: str, calls: int, old: str, new: str) -> dict[str, object]:
    return {
        "workspace_id": workspace_id, "reason": "another price", "llm_calls": calls, "old_cost_usd": Decimal(old),
        "new_cost_usd": Decimal(new), "difference_usd": Decimal(new) - Decimal(old),
    }  # fmt: skip


def test_a_price_change_restates_the_calls_it_touched_and_nothing_that_arrived_with_it(models: Models) -> None:
    models.start_over()
    models.land([_call(1, "cedar", 1), _call(2, "cedar", 1), _call(3, "hazel", 1)])
    models.build(*RESTATED)
    assert _restated(models) == []

    models.reprice("cedar", "openai", "gpt-4o", 9, BASE - timedelta(days=1))
    late, corrected = _call(4, "cedar", 1), _call(2, "cedar", 2)
    models.land([late, corrected])
    models.build(*RESTATED)
    assert _restated(models) == [_row("cedar", 1, "2.5", "9")]
    spent = models.rows("marts.workspace_cost_daily", "cost_usd", "workspace_id = 'cedar' and cost_usd > 0")
    assert spent == [{"cost_usd": Decimal(9 + 2 * 9 + 9)}]

    models.build(*RESTATED)
    assert _restated(models) == [_row("cedar", 1, "2.5", "9")], "nothing changed, so nothing is restated again"


def test_a_restatement_that_was_interrupted_is_on_record_once(models: Models) -> None:
    models.start_over()
    models.land([_call(1, "rowan", 1)])
    models.build(*RESTATED)

    models.reprice("rowan", "openai", "gpt-4o", 5, BASE - timedelta(days=1))
    models.build("--select", "+int_agent_events")
    # As if it had ended before it wrote down that it was done: the same hours are built and compared again.
    table = f"{models.settings.database('ops')}.model_builds"
    models.client.command(
        f"alter table {table} delete where model = 'int_agent_events' and built_at = "
        f"(select max(built_at) from {table} where model = 'int_agent_events')",
        settings={"mutations_sync": 2},
    )
    models.build(*RESTATED)
    assert _restated(models) == [_row("rowan", 1, "2.5", "5")]
