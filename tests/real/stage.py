"""What a play of a real library runs on: a counting provider, tools that count, and OTLP out to a real front door.

In: the door, a workspace, a protocol. The libraries report to the tracer provider of the process, whose batches go by
OpenTelemetry's own exporter, HTTP or gRPC, under the workspace's token. What the world outside of them saw (requests
served, tools run, runs ended) is noted here by whoever did it, and is what the marts are held against.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from tests.real import standin
from tests.support.door import RunningDoor

Protocol = Literal["http", "grpc"]
RESOURCE: Final = Resource({"service.name": "shop"})
# Only when it is flushed, at a play's end.
_NEVER_MS: Final = 3_600_000.0


@dataclass(frozen=True)
class Ended:
    """A tool call or a run, as the one that did it knows it."""

    name: str
    is_ok: bool


@dataclass
class Stage:
    """One play's surroundings and what happened in it."""

    provider: standin.Provider
    meters: MeterProvider
    loggers: LoggerProvider
    tools: list[Ended] = field(default_factory=list)
    runs: list[Ended] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.provider.url

    def used(self, name: str, *, is_ok: bool = True) -> str:
        """A tool's body notes that it ran."""
        self.tools.append(Ended(name, is_ok))
        return "found"

    def ran(self, agent: str, *, is_ok: bool = True) -> None:
        self.runs.append(Ended(agent, is_ok))


class _Switch(SpanExporter):
    """Gives batches to the exporter of the play that goes on: a process has one tracer provider for good."""

    def __init__(self) -> None:
        self.to: SpanExporter | None = None
        self.failed = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE if self.to is None else self.to.export(spans)
        self.failed += result is not SpanExportResult.SUCCESS
        return result


class House:
    """The front door with a token a workspace; `playing` yields the Stage of one play, and has sent all at its end."""

    def __init__(self, door: RunningDoor, tokens: dict[str, str]) -> None:
        self._door = door
        self._tokens = tokens
        self._switch = _Switch()
        self._tracers = TracerProvider(resource=RESOURCE)
        self._tracers.add_span_processor(BatchSpanProcessor(self._switch, schedule_delay_millis=_NEVER_MS))
        trace.set_tracer_provider(self._tracers)

    @contextmanager
    def playing(self, workspace: str, protocol: Protocol) -> Iterator[Stage]:
        spans, metrics, logs = self._exporters(protocol, self._tokens[workspace])
        self._switch.to = spans
        meters = MeterProvider([PeriodicExportingMetricReader(metrics, _NEVER_MS)], RESOURCE)
        loggers = LoggerProvider(RESOURCE)
        loggers.add_log_record_processor(BatchLogRecordProcessor(logs))
        with standin.running() as provider:
            yield Stage(provider, meters, loggers)
        assert self._tracers.force_flush()
        assert self._switch.failed == 0
        spans.shutdown()
        meters.shutdown()
        loggers.shutdown()

    def _exporters(
        self, protocol: Protocol, token: str
    ) -> tuple[HttpSpans | GrpcSpans, HttpMetrics | GrpcMetrics, HttpLogs | GrpcLogs]:
        headers = {"authorization": f"Bearer {token}"}
        if protocol == "grpc":
            address = f"127.0.0.1:{self._door.grpc_port}"
            return (
                GrpcSpans(address, insecure=True, headers=headers),
                GrpcMetrics(address, insecure=True, headers=headers),
                GrpcLogs(address, insecure=True, headers=headers),
            )
        url = f"http://127.0.0.1:{self._door.port}/v1"
        return (
            HttpSpans(f"{url}/traces", headers=headers),
            HttpMetrics(f"{url}/metrics", headers=headers),
            HttpLogs(f"{url}/logs", headers=headers),
        )


@contextmanager
def logger_to(stage: Stage) -> Iterator[logging.Logger]:
    """A logger of the standard library under OpenTelemetry's handler."""
    from opentelemetry.sdk._logs import LoggingHandler

    made = logging.getLogger("tests.real.agent")
    made.setLevel(logging.INFO)
    made.propagate = False
    made.addHandler(handler := LoggingHandler(logger_provider=stage.loggers))
    try:
        yield made
    finally:
        made.removeHandler(handler)
