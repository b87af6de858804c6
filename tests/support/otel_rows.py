"""Rows of raw.otel_* as the loader would land them, from a few words of a test.

Attributes become text as the Collector's exporter makes it. Each landing is one insert, so its rows share a _loaded_at.
"""

import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from itertools import count
from typing import Final

from ingest.warehouse import insert_settings
from tests.support.models import Models

Row = Mapping[str, object]
NANOS: Final = 1_000_000_000
_OFFSETS = count(1)


def text(value: object) -> str:
    """An attribute's value as the exporter writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(list(value)) if isinstance(value, (list, tuple)) else str(value)


def moment(nanoseconds: int) -> str:
    """A DateTime64(9) of epoch nanoseconds."""
    return f"{nanoseconds // NANOS}.{nanoseconds % NANOS:09d}"


def span(
    workspace_id: str,
    span_id: str,
    start_ms: int,
    duration_ms: int,
    attributes: Mapping[str, object],
    *,
    trace: str = "t1",
    parent: str = "",
    scope: str = "hand",
    name: str = "work",
    status: str = "Unset",
) -> Row:
    """One span in few words; times in epoch milliseconds."""
    return {
        "Timestamp": moment(start_ms * 1_000_000),
        "TraceId": trace,
        "SpanId": span_id,
        "ParentSpanId": parent,
        "SpanName": name,
        "ServiceName": "shop",
        "ScopeName": scope,
        "SpanAttributes": {key: text(value) for key, value in attributes.items()},
        "Duration": duration_ms * 1_000_000,
        "StatusCode": status,
        "workspace_id": workspace_id,
    }


def log(workspace_id: str, at_ms: int, body: Mapping[str, object], *, trace: str = "", inside: str = "") -> Row:
    """A log record with a JSON body, written within the span `inside`."""
    return {
        "Timestamp": moment(at_ms * 1_000_000),
        "TraceId": trace,
        "SpanId": inside,
        "ServiceName": "shop",
        "ScopeName": "app",
        "Body": json.dumps(body),
        "workspace_id": workspace_id,
    }


def land(models: Models, table: str, rows: Sequence[Row]) -> None:
    """One insert into raw.otel_<table>."""
    lines = []
    for row in rows:
        origin = {"_topic": f"otlp_{table}", "_partition": 0, "_offset": next(_OFFSETS), "_index": 0}
        lines.append(json.dumps({**row, **origin}))
    models.client.raw_insert(
        f"{models.settings.database('raw')}.otel_{table}",
        insert_block=BytesIO("\n".join(lines).encode()),
        fmt="JSONEachRow",
        settings=insert_settings(models.client, f"test:otel:{next(_OFFSETS)}"),
    )
