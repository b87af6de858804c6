"""What the models of OpenTelemetry cost: `python -m bench.models_otlp`, and a part of `make bench`.

A day of spans is made inside the engine, ten a trace: an agent's run, three uses of a tool, and three model calls that
are told twice, by the framework and by the provider's library. Built whole up to int_otel_events, then five minutes'
worth lands and `dbt run` follows. It fails where not every call comes out, and comes out once.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from bench import stand
from bench.models_place import FLAGS, Place, build, open_place, settle
from bench.models_report import Build

TRACE_SPANS: Final = 10
DAY: Final = timedelta(days=1)
INCREMENT: Final = timedelta(minutes=5)
_MODELS: Final = ("--select", "+int_otel_events")
# Places 6, 7 and 8 are children of 1, 2 and 3: the provider's library inside the framework's own span.
_SPANS: Final = """
insert into raw.otel_traces (
    Timestamp, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName, ResourceAttributes, ScopeName,
    ScopeVersion, SpanAttributes, Duration, StatusCode, workspace_id, _topic, _partition, _offset, _index
)
with
    place in (4, 5, 9) as is_tool,
    place in (6, 7, 8) as is_twin,
    100 + trace % 1000 as prompt,
    if(is_twin, (place - 5) * 700000000 + 20000000, place * 700000000) as after_ns
select
    fromUnixTimestamp64Nano({begin:Int64} + intDiv(trace * {width:Int64}, {traces:Int64}) + after_ns, 'UTC'),
    lower(hex(sipHash128({salt:UInt32}, trace))),
    lower(hex(sipHash64({salt:UInt32}, trace, place))),
    if(place = 0, '', lower(hex(sipHash64({salt:UInt32}, trace, if(is_twin, place - 5, 0))))),
    multiIf(place = 0, 'invoke_agent planner', is_tool, 'execute_tool search', 'chat gpt-4o'),
    'Internal', 'agent-api', map('service.name', 'agent-api', 'telemetry.sdk.language', 'python'),
    if(is_twin, 'opentelemetry.instrumentation.openai_v2', 'pydantic-ai'), '2.1',
    multiIf(
        place = 0, map('gen_ai.operation.name', 'invoke_agent', 'gen_ai.agent.name', 'planner',
            'gen_ai.conversation.id', concat('c', toString(trace))),
        is_tool, map('gen_ai.operation.name', 'execute_tool', 'gen_ai.tool.name', 'search',
            'gen_ai.tool.call.id', toString(trace)),
        map('gen_ai.operation.name', 'chat', 'gen_ai.provider.name', 'openai', 'gen_ai.request.model', 'gpt-4o',
            'gen_ai.response.model', 'gpt-4o-2024-08-06', 'gen_ai.usage.input_tokens', toString(prompt),
            'gen_ai.usage.output_tokens', '30', 'server.address', 'api.openai.com')
    ),
    toUInt64(multiIf(place = 0, 8000000000, is_twin, 600000000, 650000000)), 'Unset',
    concat('ws', toString(trace % 20)), 'otlp_traces', trace % 6, {salt:UInt32} * 100000000 + trace, place
from (select intDiv(number, 10) as trace, number % 10 as place from numbers({spans:UInt64}))
"""


@dataclass(frozen=True, slots=True)
class Spans:
    """What was built of how many spans."""

    spans: int
    whole: Build
    increment: Build


def measure(spans: int, folder: Path, console: Console) -> Spans:
    """Everything started here is stopped here. Raises RuntimeError where what came out is not what went in."""
    place = open_place(folder / "spans")
    try:
        end = datetime.now(UTC) - INCREMENT
        _land(place, end - DAY, DAY, spans // TRACE_SPANS, 1)
        build(place, ["seed", *FLAGS])
        settle(place.client)
        console.print(f"spans: building {spans:,} whole")
        whole = build(place, ["run", *_MODELS, *FLAGS], landed=spans)
        arrived = max(1, spans // TRACE_SPANS * INCREMENT // DAY)
        _land(place, end, INCREMENT, arrived, 2)
        increment = build(place, ["run", *_MODELS, *FLAGS], landed=arrived * TRACE_SPANS)
        _expect(place, spans // TRACE_SPANS + arrived)
    finally:
        place.client.close()
        place.engine.stop()
    return Spans(spans, whole, increment)


def _land(place: Place, begin: datetime, width: timedelta, traces: int, salt: int) -> None:
    place.client.command(
        _SPANS,
        parameters={
            "begin": round(begin.timestamp()) * 1_000_000_000,
            "width": round(width.total_seconds()) * 1_000_000_000,
            "traces": traces,
            "spans": traces * TRACE_SPANS,
            "salt": salt,
        },
    )


def _expect(place: Place, traces: int) -> None:
    """A trace is a run, three uses of a tool, and three calls: the other three are the same, told again."""
    wanted = {"agent_run_finished": traces, "tool_call": 3 * traces, "llm_call": 3 * traces}
    rows = place.client.query(
        "select event_type, countIf(is_event) from intermediate.int_otel_events group by event_type"
    ).result_rows
    found = {str(kind): int(count) for kind, count in rows}
    if found != wanted:
        raise RuntimeError(f"expected {wanted} of {traces:,} traces, found {found}")


def show(found: Spans, console: Console) -> None:
    """A row a build."""
    title = f"models of OpenTelemetry, {found.spans:,} spans of a day, up to int_otel_events"
    headings = ("build", "spans", "seconds", "in models", "engine CPU s", "engine MB", "largest statement", "others")
    table = Table(*headings, title=title, title_justify="left")
    for name, built in (("all of it", found.whole), ("5 min", found.increment)):
        table.add_row(
            name,
            f"{built.landed:,}",
            f"{built.seconds:.1f}",
            f"{built.nodes_s:.1f}",
            f"{built.engine_cpu_s:.1f}",
            f"{built.engine_peak_mb:.0f}",
            f"{built.largest_statement_mb:.0f} MB, {built.largest_statement_of}",
            f"{built.others_share:.0%}",
        )
    console.print(table)


def main() -> int:
    """The spans alone."""
    parser = argparse.ArgumentParser(prog="python -m bench.models_otlp", description=__doc__)
    parser.add_argument("--spans", type=int, default=1_000_000, help="spans of a day, in traces of ten")
    given = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, 110)
    with tempfile.TemporaryDirectory(prefix="meterhouse-bench-") as made:
        show(measure(given.spans, Path(made), console), console)
    return 0


if __name__ == "__main__":
    sys.exit(stand.stopped_cleanly(main))
