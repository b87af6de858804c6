"""Metric points as rows of raw.otel_metrics_{gauge,sum,histogram,exponential_histogram,summary}.

In: a batch of metric requests and its Frame. Out: rows by table, where they came from, and the flawed points. A request
holds points of several kinds; a point's number counts over all of them, in the order of the metrics.
"""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.loader.otlp_attributes import Attributes, Counts, masked
from ingest.loader.otlp_columns import Index, hex_of, lists, seconds, unfold
from ingest.loader.otlp_frame import BAD_TIME, Frame, Placed
from ingest.loader.otlp_rows import Exploded, TimeWindow, exploded, flaws_where, landing_of

KINDS: Final = ("gauge", "sum", "histogram", "exponential_histogram", "summary")


def explode_metrics(frame: Frame, window: TimeWindow, counts: Counts) -> Exploded:
    """The rows of the five tables."""
    metrics, scope_of_metric = unfold(frame.scopes.field("metrics"))
    unfolded = {kind: unfold(metrics.field(kind).field("data_points")) for kind in KINDS}
    # A metric has points of one kind, so its points of all kinds in a row stand in the order of the request.
    kind_of = np.concatenate([np.full(len(points), kind) for kind, (points, _) in enumerate(unfolded.values())])
    metric_of = np.concatenate([metric for _, metric in unfolded.values()])
    place_of = np.concatenate([np.arange(len(points)) for points, _ in unfolded.values()])
    times = np.concatenate([np.asarray(points.field("time_unix_nano")) for points, _ in unfolded.values()])
    order = np.argsort(metric_of, kind="stable")
    kind_of, metric_of, place_of, times = kind_of[order], metric_of[order], place_of[order], times[order]
    placed = frame.place(scope_of_metric[metric_of]).flawed(flaws_where((BAD_TIME, ~window.holds(times))))
    tables = {}
    for number, kind in enumerate(KINDS):
        chosen = np.flatnonzero(kind_of == number)
        if not len(chosen):
            continue
        points = unfolded[kind][0].take(pa.array(place_of[chosen]))
        of_kind, metric = placed.take(chosen), metric_of[chosen]
        metric = metric[of_kind.good]
        points, landing = landing_of(points, of_kind)
        if len(points):
            tables[f"otel_metrics_{kind}"] = (_rows(kind, points, metrics, metric, landing, counts), landing)
    return exploded(tables, placed, times[placed.good])


def _rows(
    kind: str, points: pa.Array, metrics: pa.Array, metric_of: Index, placed: Placed, counts: Counts
) -> pa.RecordBatch:
    frame, metric = placed.frame, pa.array(metric_of)
    scope, resource = pa.array(placed.scope_of), pa.array(placed.resource_of)
    start, time = (np.asarray(points.field(name)) for name in ("start_time_unix_nano", "time_unix_nano"))
    columns = {
        "ResourceAttributes": frame.resource_maps.take(resource),
        "ResourceSchemaUrl": masked(frame.resources.field("schema_url"), counts).take(resource),
        "ScopeName": masked(frame.scope.field("name"), counts).take(scope),
        "ScopeVersion": masked(frame.scope.field("version"), counts).take(scope),
        "ScopeAttributes": frame.scope_maps.take(scope),
        "ScopeDroppedAttrCount": frame.scope.field("dropped_attributes_count").take(scope),
        "ScopeSchemaUrl": masked(frame.scopes.field("schema_url"), counts).take(scope),
        "ServiceName": frame.service_names(placed.resource_of),
        "MetricName": masked(metrics.field("name"), counts).take(metric),
        "MetricDescription": masked(metrics.field("description"), counts).take(metric),
        "MetricUnit": masked(metrics.field("unit"), counts).take(metric),
        "Attributes": Attributes(points.field("attributes"), counts).maps(),
        "StartTimeUnix": seconds(start),
        "TimeUnix": seconds(time),
        **_OWN_COLUMNS[kind](points, metrics.field(kind), metric, counts),
        **frame.owner_columns(placed.resource_of),
        "_time_unix_ns": pa.array(time),
    }
    return pa.RecordBatch.from_pydict(columns)


Columns = dict[str, pa.Array]


def _gauge(points: pa.Array, _: pa.Array, __: pa.Array, counts: Counts) -> Columns:
    return {"Value": _value(points), "Flags": points.field("flags"), **_exemplars(points, counts)}


def _sum(points: pa.Array, data: pa.Array, metric: pa.Array, counts: Counts) -> Columns:
    return {
        **_gauge(points, data, metric, counts),
        "AggregationTemporality": data.field("aggregation_temporality").take(metric),
        "IsMonotonic": data.field("is_monotonic").take(metric),
    }


def _histogram(points: pa.Array, data: pa.Array, metric: pa.Array, counts: Counts) -> Columns:
    return {
        "Count": points.field("count"),
        "Sum": _or_zero(points.field("sum")),
        "BucketCounts": points.field("bucket_counts"),
        "ExplicitBounds": points.field("explicit_bounds"),
        **_exemplars(points, counts),
        **_ends(points, data, metric),
    }


def _exponential_histogram(points: pa.Array, data: pa.Array, metric: pa.Array, counts: Counts) -> Columns:
    positive, negative = points.field("positive"), points.field("negative")
    return {
        "Count": points.field("count"),
        "Sum": _or_zero(points.field("sum")),
        "Scale": points.field("scale"),
        "ZeroCount": points.field("zero_count"),
        "PositiveOffset": positive.field("offset"),
        "PositiveBucketCounts": positive.field("bucket_counts"),
        "NegativeOffset": negative.field("offset"),
        "NegativeBucketCounts": negative.field("bucket_counts"),
        **_exemplars(points, counts),
        **_ends(points, data, metric),
    }


def _summary(points: pa.Array, _: pa.Array, __: pa.Array, ___: Counts) -> Columns:
    quantiles = points.field("quantile_values")
    return {
        "Count": points.field("count"),
        "Sum": points.field("sum"),
        "ValueAtQuantiles.Quantile": lists(quantiles, quantiles.flatten().field("quantile")),
        "ValueAtQuantiles.Value": lists(quantiles, quantiles.flatten().field("value")),
        "Flags": points.field("flags"),
    }


_OWN_COLUMNS: Final[Mapping[str, Callable[[pa.Array, pa.Array, pa.Array, Counts], Columns]]] = {
    "gauge": _gauge,
    "sum": _sum,
    "histogram": _histogram,
    "exponential_histogram": _exponential_histogram,
    "summary": _summary,
}


def _ends(points: pa.Array, data: pa.Array, metric: pa.Array) -> Columns:
    return {
        "Flags": points.field("flags"),
        "Min": _or_zero(points.field("min")),
        "Max": _or_zero(points.field("max")),
        "AggregationTemporality": data.field("aggregation_temporality").take(metric),
    }


def _value(points: pa.Array) -> pa.Array:
    """A number whichever way it was said; 0 where a point says that nothing was recorded (bit 0 of Flags)."""
    whole = pc.cast(points.field("as_int"), pa.float64(), safe=False)
    return _or_zero(pc.coalesce(points.field("as_double"), whole))


def _or_zero(numbers: pa.Array) -> pa.Array:
    """What is missing is 0, as the exporter writes it: these columns have no null."""
    return numbers.fill_null(0.0)


def _exemplars(points: pa.Array, counts: Counts) -> Columns:
    per_point = points.field("exemplars")
    exemplars = per_point.flatten()
    return {
        "Exemplars.FilteredAttributes": lists(
            per_point, Attributes(exemplars.field("filtered_attributes"), counts).maps()
        ),
        "Exemplars.TimeUnix": lists(per_point, seconds(np.asarray(exemplars.field("time_unix_nano")))),
        "Exemplars.Value": lists(per_point, _value(exemplars)),
        "Exemplars.SpanId": lists(per_point, hex_of(exemplars.field("span_id"))),
        "Exemplars.TraceId": lists(per_point, hex_of(exemplars.field("trace_id"))),
    }
