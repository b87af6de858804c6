"""Points of metrics as instrumentations send them, and what the hourly mart makes of them; one workspace.

Totals that run on and totals since the last point, a process that began anew, one that ran before, copies, late points.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from tests.support.otel_rows import Row

WORKSPACE: Final = "meter"
HOUR: Final = datetime(2026, 11, 20, 10, tzinfo=UTC)
DELTA, CUMULATIVE = 1, 2

Expected = tuple[str, int, float | None, int, float | None, float | None]
"""Metric, hour, total, observations, mean, last value."""


def point(
    metric: str,
    minute: int,
    said: Mapping[str, object],
    *,
    temporality: int = CUMULATIVE,
    since_minute: int = 0,
    attributes: Mapping[str, str] | None = None,
) -> Row:
    """One point `minute` minutes after HOUR; `said` are the columns of its kind."""
    at, since = (int(HOUR.timestamp()) + 60 * offset for offset in (minute, since_minute))
    return {
        "workspace_id": WORKSPACE,
        "MetricName": metric,
        "ServiceName": "shop",
        "ScopeName": "hand",
        "Attributes": {"gen_ai.request.model": "gpt-4o", **(attributes or {})},
        "StartTimeUnix": since,
        "TimeUnix": at,
        "_time_unix_ns": at * 10**9,
        **({} if "Value" in said and len(said) == 1 else {"AggregationTemporality": temporality}),
        **said,
    }


def seen(count: int, total: float) -> Mapping[str, object]:
    """What a histogram says."""
    return {"Count": count, "Sum": total}


def counted(value: float) -> Mapping[str, object]:
    """What a counter says."""
    return {"Value": value, "IsMonotonic": True}


INPUT: Final = {"gen_ai.token.type": "input"}
AGAIN: Final = point("gen_ai.client.token.usage", 40, seen(5, 900), attributes=INPUT)
HISTOGRAMS: Final[Sequence[Row]] = [
    point("gen_ai.client.token.usage", 10, seen(2, 300), attributes=INPUT),
    AGAIN,
    point("gen_ai.client.token.usage", 70, seen(6, 1000), attributes=INPUT),
    point("gen_ai.client.operation.duration", 5, seen(3, 6.0), temporality=DELTA),
    point("gen_ai.client.operation.duration", 35, seen(1, 2.0), temporality=DELTA),
    point("agent.response_latency_ms", 10, seen(4, 400)),
    point("agent.response_latency_ms", 30, seen(1, 50), since_minute=25),
]
SUMS: Final[Sequence[Row]] = [
    point("agent.output_tokens", 1, counted(100), temporality=DELTA),
    point("agent.output_tokens", 2, counted(50), temporality=DELTA),
    # A process that was there before: its first point says nothing of this hour.
    point("claude_code.token.usage", 59, counted(5000), since_minute=-1440, attributes={"type": "input"}),
    point("claude_code.token.usage", 61, counted(5100), since_minute=-1440, attributes={"type": "input"}),
]
GAUGES: Final[Sequence[Row]] = [point("agent.success", 3, {"Value": 1}), point("agent.success", 33, {"Value": 0})]
# Copies, in an insert of their own, and a point that came late between two.
COPIES: Final = {"metrics_histogram": [AGAIN], "metrics_sum": [SUMS[1]]}
LATE: Final = [point("claude_code.token.usage", 45, counted(4900), since_minute=-1440, attributes={"type": "input"})]

EXPECTED: Final[Sequence[Expected]] = [
    ("agent.output_tokens", 10, 150.0, 0, None, None),
    ("agent.response_latency_ms", 10, 450.0, 5, 90.0, None),
    ("agent.success", 10, None, 0, 0.5, 0.0),
    ("claude_code.token.usage", 10, 100.0, 0, None, None),
    ("claude_code.token.usage", 11, 100.0, 0, None, None),
    ("gen_ai.client.operation.duration", 10, 8.0, 4, 2.0, None),
    ("gen_ai.client.token.usage", 10, 900.0, 5, 180.0, None),
    ("gen_ai.client.token.usage", 11, 100.0, 1, 100.0, None),
]
