"""Spans as rows of raw.otel_traces.

In: a batch of trace requests and its Frame. Out: the rows that can land, where they came from, and the flawed ones. A
span without valid ids, or outside the time window, is flawed; its neighbours land.
"""

from typing import Final

import numpy as np
import pyarrow as pa

from ingest.loader.otlp_attributes import Attributes, Counts, masked
from ingest.loader.otlp_columns import choose, hex_of, is_zero, lengths_of, lists, stamps, unfold
from ingest.loader.otlp_frame import BAD_SPAN_ID, BAD_TIME, BAD_TRACE_ID, Frame, Placed
from ingest.loader.otlp_rows import Exploded, TimeWindow, exploded, flaws_where, landing_of, left_out, plain_texts

KINDS: Final = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
STATUSES: Final = ("Unset", "Ok", "Error")


def explode_traces(frame: Frame, window: TimeWindow, counts: Counts) -> Exploded:
    """The rows of raw.otel_traces."""
    spans, scope_of = unfold(frame.scopes.field("spans"))
    start = np.asarray(spans.field("start_time_unix_nano"))
    placed = frame.place(scope_of).flawed(
        flaws_where(
            (BAD_TRACE_ID, (lengths_of(spans.field("trace_id")) != 16) | is_zero(spans.field("trace_id"))),
            (BAD_SPAN_ID, (lengths_of(spans.field("span_id")) != 8) | is_zero(spans.field("span_id"))),
            (BAD_TIME, ~window.holds(start)),
        )
    )
    spans, landing = landing_of(spans, placed)
    times = np.asarray(spans.field("start_time_unix_nano"))
    return exploded({"otel_traces": (_rows(spans, landing, counts), landing)}, placed, times)


def _rows(spans: pa.Array, placed: Placed, counts: Counts) -> pa.RecordBatch:
    frame = placed.frame
    start, end = (np.asarray(spans.field(name)) for name in ("start_time_unix_nano", "end_time_unix_nano"))
    events, links = spans.field("events"), spans.field("links")
    event, link = events.flatten(), links.flatten()
    scope = pa.array(placed.scope_of)
    columns = {
        "Timestamp": stamps(start),
        "TraceId": hex_of(spans.field("trace_id")),
        "SpanId": hex_of(spans.field("span_id")),
        "ParentSpanId": hex_of(spans.field("parent_span_id")),
        "TraceState": masked(spans.field("trace_state"), counts),
        "SpanName": masked(spans.field("name"), counts),
        "SpanKind": choose(KINDS, spans.field("kind")),
        "ServiceName": frame.service_names(placed.resource_of),
        "ResourceAttributes": frame.resource_maps.take(pa.array(placed.resource_of)),
        "ScopeName": masked(frame.scope.field("name"), counts).take(scope),
        "ScopeVersion": masked(frame.scope.field("version"), counts).take(scope),
        "SpanAttributes": Attributes(spans.field("attributes"), counts).maps(),
        # A span that never ended, or before it began, has no duration; the exporter writes a number below zero as one
        # of 584 years.
        "Duration": pa.array(np.where(end > start, end - start, np.uint64(0))),
        "StatusCode": choose(STATUSES, spans.field("status").field("code")),
        "StatusMessage": left_out(spans.field("status").field("message"), counts, "status_message"),
        "Events.Timestamp": lists(events, stamps(np.asarray(event.field("time_unix_nano")))),
        "Events.Name": lists(events, plain_texts(event.field("name"), counts)),
        "Events.Attributes": lists(events, Attributes(event.field("attributes"), counts).maps()),
        "Links.TraceId": lists(links, hex_of(link.field("trace_id"))),
        "Links.SpanId": lists(links, hex_of(link.field("span_id"))),
        "Links.TraceState": lists(links, plain_texts(link.field("trace_state"), counts)),
        "Links.Attributes": lists(links, Attributes(link.field("attributes"), counts).maps()),
        **frame.owner_columns(placed.resource_of),
    }
    return pa.RecordBatch.from_pydict(columns)
