"""The three signals of OpenTelemetry, and for each its topics and the tables its messages land in: named here only.

In: Settings. Out: names, of topics as they are on the broker, of tables without their database.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from ingest.settings import Settings

Signal = Literal["traces", "logs", "metrics"]
SIGNALS: Final[tuple[Signal, ...]] = ("traces", "logs", "metrics")
TABLES: Final[Mapping[Signal, tuple[str, ...]]] = {
    "traces": ("otel_traces",),
    "logs": ("otel_logs",),
    "metrics": (
        "otel_metrics_gauge",
        "otel_metrics_sum",
        "otel_metrics_histogram",
        "otel_metrics_exponential_histogram",
        "otel_metrics_summary",
    ),
}


def topics_of(settings: "Settings", signal: Signal) -> list[str]:
    """The topics of a signal; an installation need not have them."""
    names: Mapping[Signal, tuple[str, ...]] = {
        "traces": settings.otlp_traces_topics,
        "logs": settings.otlp_logs_topics,
        "metrics": settings.otlp_metrics_topics,
    }
    return [settings.topic(name) for name in names[signal]]


def signals_by_topic(settings: "Settings") -> dict[str, Signal]:
    """The signal of each topic of OTLP."""
    return {topic: signal for signal in SIGNALS for topic in topics_of(settings, signal)}
