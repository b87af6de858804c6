"""OTLP requests for tests: made by hand, or drawn by hypothesis from names and values that matter."""

from typing import Final

from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Summary,
    SummaryDataPoint,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

PLANTED: Final = "ada.planted@example.org"
NAMES: Final = (
    "gen_ai.usage.input_tokens",
    "gen_ai.request.model",
    "service.name",
    "note",
    "value",
    "key",
    "user.id",
    "enduser.id",
    "gen_ai.prompt.0.content",
    "gen_ai.input.messages",
    "input.value",
    "llm.output_messages.0.message.content",
    "http.request.header.authorization",
    "exception.message",
    "meterhouse.actor_id",
    "meterhouse.prompt_hash",
    "ключ",
    PLANTED,
    "",
)
TEXTS: Final = (
    "",
    "chat",
    "user.id",
    "gpt-4o",
    f"mail {PLANTED} now",
    '{"prompt": "planted words", "tokens": 5}',
    ' ["x", {"user_id": "planted words"}]',
    "{broken json",
    "Grüße",
    "run_started",
)


def attribute(name: str, value: str | float) -> KeyValue:
    """One attribute; a number with a fraction is a double."""
    if isinstance(value, str):
        return KeyValue(key=name, value=AnyValue(string_value=value))
    if isinstance(value, int):
        return KeyValue(key=name, value=AnyValue(int_value=value))
    return KeyValue(key=name, value=AnyValue(double_value=value))


def traces(*spans: Span, resource: tuple[KeyValue, ...] = ()) -> ExportTraceServiceRequest:
    """A request of one resource and scope."""
    group = ResourceSpans(resource=Resource(attributes=resource), scope_spans=[ScopeSpans(spans=spans)])
    return ExportTraceServiceRequest(resource_spans=[group])


def span(*attributes: KeyValue, number: int = 1, name: str = "chat") -> Span:
    """A good span."""
    return Span(
        trace_id=number.to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        name=name,
        start_time_unix_nano=1_795_426_200_000_000_000,
        end_time_unix_nano=1_795_426_201_000_000_000,
        attributes=attributes,
    )


_texts = st.sampled_from(TEXTS) | st.text(max_size=12)
_scalars = st.one_of(
    _texts.map(lambda text: AnyValue(string_value=text)),
    st.integers(-(2**63), 2**63 - 1).map(lambda number: AnyValue(int_value=number)),
    st.floats(allow_nan=False).map(lambda number: AnyValue(double_value=number)),
    st.booleans().map(lambda flag: AnyValue(bool_value=flag)),
    st.binary(max_size=6).map(lambda raw: AnyValue(bytes_value=raw)),
    st.just(AnyValue(bytes_value=PLANTED.encode())),
    st.just(AnyValue()),
)
_names = st.sampled_from(NAMES) | st.text(max_size=8)
values = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda found: AnyValue(array_value=ArrayValue(values=found))),
        st.lists(st.builds(lambda key, value: KeyValue(key=key, value=value), _names, inner), max_size=3).map(
            lambda found: AnyValue(kvlist_value=KeyValueList(values=found))
        ),
    ),
    max_leaves=4,
)
_attributes = st.lists(st.builds(lambda key, value: KeyValue(key=key, value=value), _names, values), max_size=5)
_ids = st.integers(1, 2**60)

_events = st.builds(lambda name, found: Span.Event(name=name, attributes=found), _texts, _attributes)
_links = st.builds(
    lambda number, found: Span.Link(trace_id=number.to_bytes(16, "big"), trace_state="a=b", attributes=found),
    _ids,
    _attributes,
)


def _span(number: int, name: str, found: list[KeyValue], events: list[Span.Event], links: list[Span.Link]) -> Span:
    made = span(*found, number=number, name=name)
    made.events.extend(events)
    made.links.extend(links)
    if number % 3 == 0:
        made.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message=f"no, {PLANTED} said"))
    return made


_spans = st.builds(_span, _ids, _texts, _attributes, st.lists(_events, max_size=2), st.lists(_links, max_size=2))
_records = st.builds(
    lambda body, found, severity: LogRecord(body=body, attributes=found, severity_text=severity),
    values,
    _attributes,
    _texts,
)
_numbers = st.builds(
    lambda found, number: NumberDataPoint(
        attributes=found, as_int=number, exemplars=[Exemplar(filtered_attributes=found, as_double=1.5)]
    ),
    _attributes,
    st.integers(-5, 2**40),
)
_gauges = st.lists(_numbers, max_size=2).map(lambda points: Metric(name="g", gauge=Gauge(data_points=points)))
_histograms = _attributes.map(
    lambda found: Metric(
        name="h",
        description=f"of {PLANTED}",
        histogram=Histogram(
            data_points=[
                HistogramDataPoint(attributes=found, count=3, sum=1.0, bucket_counts=[1, 2], explicit_bounds=[0.5])
            ]
        ),
    )
)
_exponential = _attributes.map(
    lambda found: Metric(
        name="e",
        exponential_histogram=ExponentialHistogram(
            data_points=[
                ExponentialHistogramDataPoint(
                    attributes=found,
                    scale=-2,
                    positive=ExponentialHistogramDataPoint.Buckets(offset=1, bucket_counts=[1, 300]),
                )
            ]
        ),
    )
)
_summaries = _attributes.map(
    lambda found: Metric(
        name="s",
        metadata=found,
        summary=Summary(
            data_points=[
                SummaryDataPoint(
                    attributes=found, quantile_values=[SummaryDataPoint.ValueAtQuantile(quantile=0.5, value=2.0)]
                )
            ]
        ),
    )
)
trace_requests = st.builds(
    lambda spans, found: ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(
                resource=Resource(attributes=found),
                scope_spans=[ScopeSpans(spans=spans, schema_url="https://opentelemetry.io/schemas/1.30.0")],
            )
        ]
    ),
    st.lists(_spans, max_size=2),
    _attributes,
)
log_requests = st.builds(
    lambda records, found: ExportLogsServiceRequest(
        resource_logs=[ResourceLogs(resource=Resource(attributes=found), scope_logs=[ScopeLogs(log_records=records)])]
    ),
    st.lists(_records, max_size=2),
    _attributes,
)
metric_requests = st.builds(
    lambda metrics, found: ExportMetricsServiceRequest(
        resource_metrics=[
            ResourceMetrics(resource=Resource(attributes=found), scope_metrics=[ScopeMetrics(metrics=metrics)])
        ]
    ),
    st.lists(st.one_of(_gauges, _histograms, _exponential, _summaries), max_size=2),
    _attributes,
)
