"""Every number the front door shows, in one closed registry: a name that is not here cannot be written.

In: counts, gauges and observations by Metric with exactly its labels. Out: Prometheus text. No label holds a workspace,
a key or an address; names a stranger chose are bounded.
"""

import enum
from typing import Final

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from ingest.contracts.outcome import OTHER
from ingest.loader.metrics import MetricSpec

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_MOST_NAMES: Final = 200


def _counter(name: str, meaning: str, *labels: str) -> MetricSpec:
    return MetricSpec(f"meterhouse_door_{name}_total", "counter", meaning, labels)


def _gauge(name: str, meaning: str, *labels: str) -> MetricSpec:
    return MetricSpec(f"meterhouse_door_{name}", "gauge", meaning, labels)


def _histogram(name: str, meaning: str, *labels: str) -> MetricSpec:
    return MetricSpec(f"meterhouse_door_{name}", "histogram", meaning, labels, _SECONDS)


class Metric(enum.Enum):
    """The registry."""

    REQUESTS = _counter("requests", "Requests answered, by way in and HTTP status.", "way", "status")
    REFUSALS = _counter("refusals", "Requests refused as a whole, by the word in the answer.", "way", "code")
    ACCEPTED = _counter("accepted", "Events, spans, records and points acknowledged.", "way")
    REFUSED = _counter("refused", "Events, spans, records and points refused one by one.", "way", "error_class")
    CAREFUL = _counter("careful", "Events that the fast path could not decide.")
    DROPPED = _counter("dropped", "Attributes removed, masked or hashed, by the deny list's rule.", "way", "rule")
    ALIASES = _counter("aliases", "Older spellings rewritten, by the spelling.", "alias")
    UNKNOWN = _counter("unknown_fields", "Unknown fields of events, kept in the context, by name.", "name")
    BODY_BYTES = _counter("body_bytes", "Bytes of bodies as they were sent.", "way")
    REQUEST_SECONDS = _histogram("request_seconds", "From a request's head to its answer.", "way")
    ACK_SECONDS = _histogram("ack_seconds", "From handing a batch to the producer to Kafka's acknowledgement.")
    IN_WORK = _gauge("requests_in_work", "Requests being worked on.")
    BODIES = _gauge("bodies_bytes", "Bytes of bodies in memory.")
    BODIES_RATIO = _gauge("bodies_fill_ratio", "The same as a share of METERHOUSE_API_BODY_MEMORY_BYTES.")
    QUEUE_MESSAGES = _gauge("queue_messages", "Messages that wait for Kafka's acknowledgement.")
    QUEUE_BYTES = _gauge("queue_bytes", "Bytes that wait for Kafka's acknowledgement.")
    QUEUE_RATIO = _gauge("queue_fill_ratio", "The same as a share of METERHOUSE_API_QUEUE_BYTES; 1 answers 503.")
    SIGNATURES = _gauge("signatures_remembered", "Signatures remembered against replay.")
    SIGNATURES_RATIO = _gauge("signatures_fill_ratio", "The same as a share of METERHOUSE_API_REPLAY_ENTRIES.")
    CONNECTIONS = _gauge("connections", "HTTP connections that are open.")
    KEYS = _gauge("keys", "Signing keys in force.")


class Metrics:
    """The registry's values in one process, with the process's own memory, CPU and file figures."""

    def __init__(self) -> None:
        # One more series a counter that nobody asks for; the switch is prometheus_client's and holds for the process.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._all: dict[Metric, Counter | Gauge | Histogram] = {}
        self._children: dict[tuple[Metric, tuple[str, ...]], Counter | Gauge | Histogram] = {}
        self._names: set[str] = set()
        for metric in Metric:
            spec = metric.value
            if spec.kind == "counter":
                self._all[metric] = Counter(spec.name, spec.meaning, spec.labels, registry=self._registry)
            elif spec.kind == "gauge":
                self._all[metric] = Gauge(spec.name, spec.meaning, spec.labels, registry=self._registry)
            else:
                self._all[metric] = Histogram(
                    spec.name, spec.meaning, spec.labels, buckets=spec.buckets, registry=self._registry
                )

    def count(self, metric: Metric, n: float, *labels: str) -> None:
        """Adds `n` to a counter; labels in the order of its spec."""
        found = self._child(metric, labels)
        if not isinstance(found, Counter):
            raise TypeError(f"metric {metric.name} is no counter")
        found.inc(n)

    def count_name(self, name: str, n: int) -> None:
        """Adds to UNKNOWN under a name that a stranger chose, `(other)` from the 200th on."""
        if name not in self._names and len(self._names) >= _MOST_NAMES:
            name = OTHER
        self._names.add(name)
        self.count(Metric.UNKNOWN, n, name)

    def set(self, metric: Metric, value: float) -> None:
        """Sets a gauge."""
        found = self._all[metric]
        if not isinstance(found, Gauge):
            raise TypeError(f"metric {metric.name} is no gauge")
        found.set(value)

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        """Adds one observation to a histogram."""
        found = self._child(metric, labels)
        if not isinstance(found, Histogram):
            raise TypeError(f"metric {metric.name} is no histogram")
        found.observe(value)

    def render(self) -> bytes:
        """All of it in Prometheus' text format 0.0.4."""
        return generate_latest(self._registry)

    def _child(self, metric: Metric, labels: tuple[str, ...]) -> Counter | Gauge | Histogram:
        known = self._children.get((metric, labels))
        if known is None:
            parent = self._all[metric]
            known = self._children[metric, labels] = parent.labels(*labels) if labels else parent
        return known
