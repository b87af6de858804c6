"""OTLP requests for tests of the loader and for the bench: believable calls, logs and points, of any number.

Times are epoch nanoseconds. Ids come from the random generator given, so that the same seed makes the same request.
"""

import random
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

Plain: TypeAlias = "str | bool | int | float | bytes | Sequence[Plain] | Mapping[str, Plain]"
RESOURCE: Mapping[str, Plain] = {
    "service.name": "agent-api",
    "service.version": "1.2.3",
    "deployment.environment.name": "prod",
    "telemetry.sdk.name": "opentelemetry",
    "telemetry.sdk.language": "python",
    "telemetry.sdk.version": "1.30.0",
    "host.name": "pod-77f",
    "meterhouse.workspace_id": "acme",
}


def any_value(value: Plain) -> AnyValue:
    """A value as OTLP has it."""
    made = AnyValue()
    if isinstance(value, bool):
        made.bool_value = value
    elif isinstance(value, str):
        made.string_value = value
    elif isinstance(value, int):
        made.int_value = value
    elif isinstance(value, float):
        made.double_value = value
    elif isinstance(value, bytes):
        made.bytes_value = value
    elif isinstance(value, Mapping):
        made.kvlist_value.values.extend(attributes(value))
    else:
        made.array_value.values.extend([any_value(one) for one in value])
    return made


def attributes(values: Mapping[str, Plain]) -> list[KeyValue]:
    return [KeyValue(key=name, value=any_value(value)) for name, value in values.items()]


def traces(
    count: int, at_ns: int, source: random.Random, resource: Mapping[str, Plain] = RESOURCE
) -> ExportTraceServiceRequest:
    """`count` model calls of one service, a microsecond apart."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(attributes(resource))
    scope = group.scope_spans.add()
    scope.scope.name, scope.scope.version = "opentelemetry.instrumentation.openai_v2", "2.1b0"
    for number in range(count):
        began = at_ns + number * 1_000
        call: Mapping[str, Plain] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "openai",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.response.model": "gpt-4o-2024-08-06",
            "gen_ai.response.id": f"chatcmpl-{source.getrandbits(128):032x}",
            "gen_ai.usage.input_tokens": source.randrange(5_000),
            "gen_ai.usage.output_tokens": source.randrange(900),
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.request.temperature": 0.7,
            "gen_ai.conversation.id": f"conv-{source.randrange(99_999)}",
            "gen_ai.agent.name": "planner",
            "server.address": "api.openai.com",
            "server.port": 443,
        }
        span = scope.spans.add(
            trace_id=source.randbytes(16),
            span_id=source.randbytes(8),
            parent_span_id=source.randbytes(8),
            name="chat gpt-4o",
            kind=Span.SPAN_KIND_CLIENT,
            start_time_unix_nano=began,
            end_time_unix_nano=began + source.randrange(1, 10**9),
        )
        span.attributes.extend(attributes(call))
    return request


def logs(bodies: Sequence[Plain], at_ns: int, resource: Mapping[str, Plain] = RESOURCE) -> ExportLogsServiceRequest:
    """A record a body, all of the same nanosecond."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.extend(attributes(resource))
    scope = group.scope_logs.add()
    scope.scope.name = "agents.logging"
    for body in bodies:
        record = scope.log_records.add(time_unix_nano=at_ns, severity_text="INFO", severity_number=9)
        record.body.CopyFrom(any_value(body))
    return request


def metrics(at_ns: int, resource: Mapping[str, Plain] = RESOURCE) -> ExportMetricsServiceRequest:
    """One metric of each kind, of one point; the sum has two, a nanosecond apart."""
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    group.resource.attributes.extend(attributes(resource))
    scope = group.scope_metrics.add()
    scope.scope.name = "opentelemetry.instrumentation.openai_v2"
    gauge = scope.metrics.add(name="agent.queue", unit="1").gauge.data_points.add(time_unix_nano=at_ns, as_int=3)
    total = scope.metrics.add(name="claude_code.token.usage", unit="tokens")
    total.sum.is_monotonic, total.sum.aggregation_temporality = True, 2  # type: ignore[assignment]  # cumulative
    first = total.sum.data_points.add(start_time_unix_nano=at_ns - 10**9, time_unix_nano=at_ns, as_double=1.5)
    second = total.sum.data_points.add(start_time_unix_nano=at_ns - 10**9, time_unix_nano=at_ns + 1, as_double=2.5)
    exemplar = first.exemplars.add(time_unix_nano=at_ns, as_int=7, span_id=b"\x01" * 8, trace_id=b"\x02" * 16)
    exemplar.filtered_attributes.extend(attributes({"gen_ai.request.model": "gpt-4o"}))
    histogram = scope.metrics.add(name="gen_ai.client.operation.duration", unit="s").histogram
    histogram.aggregation_temporality = 1  # type: ignore[assignment]  # delta
    buckets = histogram.data_points.add(time_unix_nano=at_ns, count=3, sum=4.5, min=0.5, max=2.0)
    buckets.bucket_counts.extend([1, 2, 0])
    buckets.explicit_bounds.extend([1.0, 5.0])
    exponential = scope.metrics.add(name="agent.latency", unit="ms").exponential_histogram
    exponential.aggregation_temporality = 2  # type: ignore[assignment]  # cumulative
    fine = exponential.data_points.add(time_unix_nano=at_ns, count=4, scale=3, zero_count=1)
    fine.positive.offset = 2
    fine.positive.bucket_counts.extend([1, 1])
    fine.negative.offset = -1
    fine.negative.bucket_counts.extend([1])
    summary = scope.metrics.add(name="agent.cost", unit="USD").summary.data_points.add(
        time_unix_nano=at_ns, count=2, sum=0.25
    )
    summary.quantile_values.add(quantile=0.5, value=0.125)
    for point in (gauge, first, second, buckets, fine, summary):
        point.attributes.extend(attributes({"gen_ai.token.type": "input"}))
    return request
