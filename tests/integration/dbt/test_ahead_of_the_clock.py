"""An event dated ahead of the engine's clock, as a producer with a fast one sends it, is in every table at once."""

from datetime import UTC, datetime, timedelta

from tests.support.models import Models


def test_a_call_of_the_coming_hour_is_in_the_marts_that_look_back(models: Models) -> None:
    # Buckets that look back were cut off at the clock: the hour was never built, since nothing named it again.
    at = datetime.now(UTC) + timedelta(hours=1)
    models.land([{
        "event_id": "00000000-0000-0000-0000-000000000001", "event_type": "tool_call",
        "occurred_at": at.strftime("%Y-%m-%d %H:%M:%S.000"), "workspace_id": "ahead", "run_id": "r1",
        "tool_name": "search", "status": "error",
    }])  # fmt: skip
    models.build("-s", "+tool_reliability")
    assert [row["calls"] for row in models.rows("marts.tool_reliability", "calls")] == [1]
