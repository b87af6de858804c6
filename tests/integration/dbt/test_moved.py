"""An event that a correction takes to another hour leaves the old one in the same build, not one build late."""

import uuid

from tests.support.models import Event, Models


def _call(hour: str) -> Event:
    return {
        "event_id": str(uuid.UUID(int=7)),
        "event_type": "llm_call",
        "occurred_at": f"2026-11-20 {hour}:10:00.000",
        "workspace_id": "moved",
        "status": "ok",
    }


def test_the_hour_an_event_has_left_is_named_by_the_build_that_sees_the_correction(models: Models) -> None:
    models.land([_call("08")])
    models.build("--select", "+int_agent_events")
    models.land([_call("10")])
    models.build("--select", "+int_changed_hours")
    newest = models.rows(
        "intermediate.int_changed_hours",
        "toHour(bucket_at) as hour, reason",
        f"reason = 'moved' and change_id = (select max(change_id) from {models.settings.database('intermediate')}"
        ".int_changed_hours)",
    )
    assert {row["hour"] for row in newest} == {8, 10}
    models.build("--select", "+int_agent_events")
    assert [row["hour"] for row in models.rows("intermediate.int_agent_events", "toHour(occurred_hour) as hour")] == [
        10
    ]
