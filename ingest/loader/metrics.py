"""Every number the loader shows, in one closed registry: a name that is not here cannot be written.

In: counts, gauges and observations by Metric, with exactly the labels its spec names. Out: Prometheus text. A wrong
kind or wrong labels raise at once. One Metrics a process; all its methods may be called from any thread.
docs/loader-metrics.md is this registry as a table: `python -m ingest.loader.metrics` prints it.
"""

import enum
from dataclasses import dataclass
from typing import Final, Literal

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
Kind = Literal["counter", "gauge", "histogram"]

_ROWS: Final = (1, 10, 100, 500, 1_000, 5_000, 10_000, 20_000, 40_000, 65_536, 131_072, 262_144, 1_000_000)
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
# From an agent's clock to the table: a buffer in an agent, an outage and a backfill make hours and days.
_DELAYS: Final = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0, 86_400.0)


@dataclass(frozen=True)
class MetricSpec:
    """One metric: `name` as Prometheus shows it, unit included; upper bounds of `buckets` for a histogram only."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


def _counter(name: str, meaning: str, *labels: str) -> MetricSpec:
    return MetricSpec(f"meterhouse_loader_{name}_total", "counter", meaning, labels)


def _gauge(name: str, meaning: str, *labels: str) -> MetricSpec:
    return MetricSpec(f"meterhouse_loader_{name}", "gauge", meaning, labels)


def _histogram(name: str, meaning: str, *labels: str, buckets: tuple[float, ...]) -> MetricSpec:
    return MetricSpec(f"meterhouse_loader_{name}", "histogram", meaning, labels, buckets)


class Metric(enum.Enum):
    """The registry."""

    MESSAGES_READ = _counter("messages_read", "Messages read from Kafka, redone ones counted again.", "topic")
    BYTES_READ = _counter("read_bytes", "Bytes of the values of messages read from Kafka.", "topic")
    ROWS_LANDED = _counter("rows_landed", "Rows that ClickHouse has acknowledged, of runs that are done.", "topic")
    REJECTED = _counter(
        "rejected", "Messages refused and written to the dead letters, by error class.", "topic", "error_class"
    )
    FIELDS_DROPPED = _counter("fields_dropped", "Fields removed from events because their names are denied.", "topic")
    LOST_OFFSETS = _counter(
        "lost_offsets", "Offsets that retention removed before they could be read; above zero is data loss.", "topic"
    )
    RUNS_DONE = _counter("runs_done", "Runs of offsets that are in the ledger as done.", "topic")
    RUNS_REDONE = _counter("runs_redone", "Runs claimed by an earlier owner that were done again.", "topic")
    FENCED = _counter("fenced", "Times another loader had claimed the run first.", "topic")
    BATCH_ROWS = _histogram("batch_rows", "Messages in a run when it was claimed.", "topic", buckets=_ROWS)
    BATCH_AGE_SECONDS = _histogram(
        "batch_age_seconds", "From the first message of a run being read to its claim.", "topic", buckets=_SECONDS
    )
    INSERT_SECONDS = _histogram(
        "insert_seconds", "One insert as ClickHouse answered it, retries not included.", "table", buckets=_SECONDS
    )
    INSERT_RETRIES = _counter("insert_retries", "Calls to ClickHouse tried again, by the kind of error.", "kind")
    LAG = _gauge("lag", "Messages between the next offset to land and the high watermark.", "topic", "partition")
    EVENT_TO_LANDED_SECONDS = _histogram(
        "event_to_landed_seconds", "From an event's occurred_at to its row being queryable.", "topic", buckets=_DELAYS
    )
    APPENDED_TO_LANDED_SECONDS = _histogram(
        "appended_to_landed_seconds",
        "From Kafka's timestamp of a message to its row being queryable.",
        "topic",
        buckets=_DELAYS,
    )
    BUFFER_BYTES = _gauge("buffer_bytes", "Bytes of messages held in memory: read, and not yet landed.")
    BUFFER_FILL_RATIO = _gauge("buffer_fill_ratio", "The same as a share of METERHOUSE_BUFFER_BYTES; 1 pauses reading.")
    RUNS_IN_FLIGHT = _gauge("runs_in_flight", "Runs claimed and not yet done.")
    PARTITIONS_ASSIGNED = _gauge("partitions_assigned", "Partitions this process owns.")
    PARTITIONS_PAUSED = _gauge("partitions_paused", "Partitions not read for the moment, under back-pressure.")
    LOOP_TURNS = _counter("loop_turns", "Turns of the reading loop; standing still means the loader hangs.")
    DEAD_LETTER_PRODUCED = _counter(
        "dead_letter_produced", "Dead letters that the topic <topic>.dlq acknowledged.", "topic"
    )


class Metrics:
    """The registry's values in one process, with the process's own memory, CPU and file figures."""

    def __init__(self) -> None:
        # One more series a counter that nobody asks for; the switch is prometheus_client's and holds for the process.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._counters: dict[Metric, Counter] = {}
        self._gauges: dict[Metric, Gauge] = {}
        self._histograms: dict[Metric, Histogram] = {}
        for metric in Metric:
            spec = metric.value
            if spec.kind == "counter":
                self._counters[metric] = Counter(spec.name, spec.meaning, spec.labels, registry=self._registry)
            elif spec.kind == "gauge":
                self._gauges[metric] = Gauge(spec.name, spec.meaning, spec.labels, registry=self._registry)
            else:
                self._histograms[metric] = Histogram(
                    spec.name, spec.meaning, spec.labels, buckets=spec.buckets, registry=self._registry
                )

    def count(self, metric: Metric, n: float = 1, **labels: str) -> None:
        """Adds `n` (0 or more) to a counter. Raises ValueError for another kind, other labels or a negative `n`."""
        counter = self._counters.get(metric)
        if counter is None:
            raise _wrong_kind(metric, "counter")
        if metric.value.labels or labels:
            counter = counter.labels(**_checked(metric, labels))
        counter.inc(n)

    def set(self, metric: Metric, value: float, **labels: str) -> None:
        """Sets a gauge. Raises ValueError for another kind or other labels."""
        gauge = self._gauges.get(metric)
        if gauge is None:
            raise _wrong_kind(metric, "gauge")
        if metric.value.labels or labels:
            gauge = gauge.labels(**_checked(metric, labels))
        gauge.set(value)

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        """Adds one observation to a histogram. Raises ValueError for another kind or other labels."""
        histogram = self._histograms.get(metric)
        if histogram is None:
            raise _wrong_kind(metric, "histogram")
        if metric.value.labels or labels:
            histogram = histogram.labels(**_checked(metric, labels))
        histogram.observe(value)

    def forget(self, metric: Metric, **labels: str) -> None:
        """Removes one labelled series, such as the lag of a partition that another process owns now."""
        checked = _checked(metric, labels)
        values = [checked[name] for name in metric.value.labels]
        (self._counters.get(metric) or self._gauges.get(metric) or self._histograms[metric]).remove(*values)

    def render(self) -> bytes:
        """All of it in Prometheus' text format 0.0.4."""
        return generate_latest(self._registry)


def as_markdown() -> str:
    """The registry as docs/loader-metrics.md holds it."""
    lines = [
        "# Metrics of the loader",
        "",
        "What `/metrics` of `meterhouse load` shows; `/healthz` and `/readyz` stand beside it. The list is closed:",
        "it is `ingest/loader/metrics.py`, printed by `python -m ingest.loader.metrics`, and a test keeps this page",
        "equal to it. The process's own figures (`process_resident_memory_bytes`, …) come on top.",
        "",
        "| metric | kind | labels | meaning |",
        "| --- | --- | --- | --- |",
    ]
    for metric in Metric:
        spec = metric.value
        labels = ", ".join(f"`{name}`" for name in spec.labels)
        lines.append(f"| `{spec.name}` | {spec.kind} | {labels} | {spec.meaning} |")
    return "\n".join(lines) + "\n"


def _checked(metric: Metric, labels: dict[str, str]) -> dict[str, str]:
    wanted = metric.value.labels
    if set(labels) != set(wanted):
        raise ValueError(f"metric {metric.name} has the labels {list(wanted)}, came {sorted(labels)}")
    return labels


def _wrong_kind(metric: Metric, wanted: Kind) -> ValueError:
    return ValueError(f"metric {metric.name} is a {metric.value.kind}, not a {wanted}")


if __name__ == "__main__":
    print(as_markdown(), end="")
