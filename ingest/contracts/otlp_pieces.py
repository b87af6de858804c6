"""An export request cut into pieces that fit a Kafka message, each a whole request of its own.

In: a scrubbed request's bytes and the most bytes of a piece. Out: the pieces, in order, with every span, record or
metric once, its resource and scope repeated; and how many items were left out because one alone is too large.
"""

from collections.abc import Callable
from typing import Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.contracts.otlp_privacy import LAYOUTS, ExportRequest
from ingest.signals import Signal

REQUEST_TYPES: Final[dict[Signal, Callable[[], ExportRequest]]] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}


def pieces(signal: Signal, wire: bytes, most_bytes: int) -> tuple[list[bytes], int]:
    """See the module."""
    if len(wire) <= most_bytes:
        return [wire], 0
    request = REQUEST_TYPES[signal]()
    request.ParseFromString(wire)
    return _Cutter(signal, most_bytes).cut(request)


class _Cutter:
    def __init__(self, signal: Signal, most_bytes: int) -> None:
        self._signal: Signal = signal
        self._most_bytes = most_bytes
        self._done: list[bytes] = []
        self._too_large = 0

    def cut(self, request: ExportRequest) -> tuple[list[bytes], int]:
        groups, scopes, items, _ = LAYOUTS[type(request)]
        for group in getattr(request, groups):
            for scope in getattr(group, scopes):
                held, size = self._frame(group, scope), 0
                room = self._most_bytes - held.ByteSize() - 64
                for item in getattr(scope, items):
                    need = item.ByteSize() + 6
                    if need > room:
                        self._too_large += _points(item)
                        continue
                    if size + need > room:
                        self._done.append(held.SerializeToString())
                        held, size = self._frame(group, scope), 0
                    target = getattr(getattr(getattr(held, groups)[0], scopes)[0], items)
                    target.add().CopyFrom(item)
                    size += need
                if size:
                    self._done.append(held.SerializeToString())
        return self._done, self._too_large

    def _frame(self, group: object, scope: object) -> ExportRequest:
        """A request with this resource and scope, and no item."""
        made = REQUEST_TYPES[self._signal]()
        groups, scopes, _, _ = LAYOUTS[type(made)]
        new_group = getattr(made, groups).add()
        new_scope = getattr(new_group, scopes).add()
        for source, target in ((group, new_group), (scope, new_scope)):
            target.schema_url = source.schema_url  # type: ignore[attr-defined]  # all six types have it
        new_group.resource.CopyFrom(group.resource)  # type: ignore[attr-defined]  # as above: Resource*
        new_scope.scope.CopyFrom(scope.scope)  # type: ignore[attr-defined]  # and Scope*
        return made


def _points(item: object) -> int:
    """How many a metric counts for; a span or a record is one."""
    which = getattr(item, "WhichOneof", None)
    if getattr(item, "DESCRIPTOR").name != "Metric" or which is None:  # noqa: B009  # an object to mypy
        return 1
    kind = which("data")
    return len(getattr(item, kind).data_points) if kind else 0
