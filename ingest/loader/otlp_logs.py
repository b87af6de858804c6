"""Log records as rows of raw.otel_logs.

In: a batch of log requests and its Frame. Out: the rows that can land, where they came from, and the flawed ones. A
body lands where it is JSON or a measure; a sentence does not, since nobody can say that it holds no content.
"""

from collections import Counter
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.contracts.denial import DROPPED
from ingest.contracts.otlp_privacy import KEPT_LOG_WORDS
from ingest.contracts.privacy import scrub_value
from ingest.loader.otlp_attributes import Attributes, Counts, masked, texts_of
from ingest.loader.otlp_columns import hex_of, stamps, unfold
from ingest.loader.otlp_frame import BAD_TIME, Frame, Placed
from ingest.loader.otlp_rows import Exploded, Nanoseconds, TimeWindow, exploded, flaws_where, landing_of, plain_texts

BODY_RULE: Final = "log_body"
_BLANKS: Final = " \t\r\n"


def explode_logs(frame: Frame, window: TimeWindow, counts: Counts) -> Exploded:
    """The rows of raw.otel_logs. A record without any time is taken to be of the moment its run was claimed."""
    records, scope_of = unfold(frame.scopes.field("log_records"))
    placed = frame.place(scope_of)
    placed = placed.flawed(flaws_where((BAD_TIME, ~window.holds(_times(records, window)))))
    records, landing = landing_of(records, placed)
    times = _times(records, window)
    return exploded({"otel_logs": (_rows(records, times, landing, counts), landing)}, placed, times)


def _times(records: pa.Array, window: TimeWindow) -> Nanoseconds:
    said, observed = (np.asarray(records.field(name)) for name in ("time_unix_nano", "observed_time_unix_nano"))
    times: Nanoseconds = np.where(said > 0, said, np.where(observed > 0, observed, np.uint64(window.judged_at)))
    return times


def _rows(records: pa.Array, times: Nanoseconds, placed: Placed, counts: Counts) -> pa.RecordBatch:
    frame = placed.frame
    scope, resource = pa.array(placed.scope_of), pa.array(placed.resource_of)
    columns = {
        "Timestamp": stamps(times),
        "TraceId": hex_of(records.field("trace_id")),
        "SpanId": hex_of(records.field("span_id")),
        "TraceFlags": pa.array((np.asarray(records.field("flags")) & 0xFF).astype(np.uint8)),
        "SeverityText": masked(records.field("severity_text"), counts),
        "SeverityNumber": pa.array(np.clip(np.asarray(records.field("severity_number")), 0, 255).astype(np.uint8)),
        "ServiceName": frame.service_names(placed.resource_of),
        "Body": _bodies(records.field("body"), counts),
        "ResourceSchemaUrl": masked(frame.resources.field("schema_url"), counts).take(resource),
        "ResourceAttributes": frame.resource_maps.take(resource),
        "ScopeSchemaUrl": masked(frame.scopes.field("schema_url"), counts).take(scope),
        "ScopeName": masked(frame.scope.field("name"), counts).take(scope),
        "ScopeVersion": masked(frame.scope.field("version"), counts).take(scope),
        "ScopeAttributes": frame.scope_maps.take(scope),
        "LogAttributes": Attributes(records.field("attributes"), counts).maps(),
        "EventName": plain_texts(records.field("event_name"), counts),
        **frame.owner_columns(placed.resource_of),
    }
    rows = pa.RecordBatch.from_pydict(columns)
    return rows.append_column("_copy", pa.array(_copies(rows, times, placed)))


def _bodies(body: pa.Array, counts: Counts) -> pa.Array:
    """What of each body may land: JSON scrubbed, numbers and booleans as text. Bytes are words nobody can read here."""
    is_text = body.field("string_value").is_valid()
    clean = pa.array(
        [_body(text, counts) for text in body.field("string_value").filter(is_text).to_pylist()], pa.string()
    )
    texts = pc.replace_with_mask(texts_of(body, counts), is_text, clean)
    is_bytes = body.field("bytes_value").is_valid()
    if not pc.any(is_bytes).as_py():
        return texts
    counts[BODY_RULE] = counts.get(BODY_RULE, 0) + pc.sum(is_bytes).as_py()
    return pc.if_else(is_bytes, DROPPED, texts)


def _body(text: str, counts: Counts) -> str:
    """As ingest/contracts/otlp_privacy.py has it: JSON scrubbed, names of events kept, anything else dropped."""
    if text.lstrip(_BLANKS)[:1] in ("{", "["):
        return str(scrub_value(text.strip(), counts))
    if not text or text in KEPT_LOG_WORDS:
        return text
    counts[BODY_RULE] = counts.get(BODY_RULE, 0) + 1
    return DROPPED


def _copies(rows: pa.RecordBatch, times: Nanoseconds, placed: Placed) -> npt.NDArray[np.uint32]:
    """Of each row how many equal ones of its message stand before it."""
    copies = np.zeros(len(times), dtype=np.uint32)
    order = np.lexsort((times, placed.message_of))
    same = (np.diff(times[order]) == 0) & (np.diff(placed.message_of[order]) == 0)
    if not same.any():
        return copies
    alike = np.zeros(len(times), dtype=bool)
    alike[order[1:][same]] = True
    alike[order[:-1][same]] = True
    places = np.flatnonzero(alike)
    # Without the time, which is one of the keys: Python's own has no nanoseconds, and Arrow refuses to cut them.
    said = rows.drop_columns(["Timestamp"]).take(pa.array(places)).to_pylist()
    seen: Counter[str] = Counter()
    for place, row in zip(places.tolist(), said, strict=True):
        key = repr((int(placed.message_of[place]), int(times[place]), row))
        copies[place] = seen[key]
        seen[key] += 1
    return copies
