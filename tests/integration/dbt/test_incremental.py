"""Whatever lands in whatever order, with builds in between or interrupted: the tables end as a full refresh makes them.

Hypothesis draws small histories: few ids, so that copies and corrections are common; hours weeks apart; builds that
stop after some of the models; prices that change. A failing example is a list of steps one can read.
"""

import os
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from tests.support.models import Event, Models
from tests.support.otel_rows import Row, land, span

BASE = datetime(2026, 11, 20, 11, tzinfo=UTC)
WORKSPACES = ("acme", "birch")
# Tables that say how they were built, or where things arrived, rather than what is true.
BOOKS = {
    "intermediate.int_arrivals_1m",
    "intermediate.int_arrival_hours",
    "intermediate.int_changed_hours",
    "intermediate.int_changed_run_hours",
    "intermediate.int_clock",
    "intermediate.int_clock_ticks",
    "intermediate.int_completeness_looks",
    "intermediate.int_event_firsts",
    "intermediate.int_event_index",
    "intermediate.int_event_moves",
    "intermediate.int_model_hours",
    "intermediate.int_otel_arrivals",
    "intermediate.int_otel_changed_hours",
    "intermediate.int_otel_hour_spans",
    "intermediate.int_otel_metric_hours",
    "intermediate.int_passed_hours",
    "intermediate.int_price_changes",
    "intermediate.int_restated_costs",
    "marts.alert_evaluations",
    "marts.cost_restatements",
    "marts.pipeline_health",
}


@dataclass(frozen=True)
class Land:
    events: tuple[Event, ...]


@dataclass(frozen=True)
class Tell:
    """Spans that land together: parents after children, calls told twice, copies that name another hour."""

    spans: tuple[Row, ...]


@dataclass(frozen=True)
class Build:
    """A whole build, or one that ended after these models."""

    only: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reprice:
    """A negotiated price for one workspace, USD a million input tokens, from an hour of the history on."""

    workspace_id: str
    usd: int
    hours_ago: int


Step = Land | Tell | Build | Reprice

KINDS = ("llm_call", "llm_call", "tool_call", "agent_run_started", "agent_run_finished", "agent_step", "error")
NAMES = (("openai", "gpt-4o"), ("anthropic", "claude-sonnet-4-5"), ("nobody", "unheard-of"))


@st.composite
def events(draw: st.DrawFn) -> Event:
    number = draw(st.integers(1, 12))
    kind = draw(st.sampled_from(KINDS))
    provider, model = draw(st.sampled_from(NAMES)) if kind == "llm_call" else ("", "")
    tokens = draw(st.one_of(st.none(), st.integers(0, 3000))) if kind == "llm_call" else None
    ago = timedelta(hours=draw(st.sampled_from((0, 0, 1, 2, 26, 27, 30 * 24))), minutes=draw(st.integers(0, 59)))
    return {
        "event_id": str(uuid.UUID(int=number)),
        "event_type": kind,
        "occurred_at": (BASE - ago).strftime("%Y-%m-%d %H:%M:%S.000"),
        "workspace_id": draw(st.sampled_from(WORKSPACES)),
        "environment": "production",
        "agent": draw(st.sampled_from(("clerk", "scout"))),
        "run_id": draw(st.sampled_from(("", "r1", "r2", "r3"))),
        "actor_id": draw(st.sampled_from(("", "a1", "a2"))),
        "route": draw(st.sampled_from(("/a", "/b"))),
        "provider": provider,
        "model": model,
        "input_tokens": tokens,
        "output_tokens": None if tokens is None else tokens // 3,
        "cache_read_tokens": None if tokens is None else draw(st.sampled_from((None, 0, tokens // 2))),
        "prompt_hash": draw(st.sampled_from(("", "p1"))),
        "tool_name": "search" if kind == "tool_call" else "",
        "status": draw(st.sampled_from(("ok", "ok", "error", "timeout", "cancelled", ""))),
        "error_type": draw(st.sampled_from(("", "rate_limit_error", "http_502"))),
        "latency_ms": draw(st.one_of(st.none(), st.integers(1, 5000))),
        "cost_usd": draw(st.sampled_from((None, None, "0.25"))),
    }


@st.composite
def spans(draw: st.DrawFn) -> Row:
    number = draw(st.integers(1, 6))
    kind = draw(st.sampled_from(("chat", "chat", "chat", "invoke_agent", "execute_tool", "")))
    usage = draw(st.sampled_from((None, None, (100, 10), (100, 10), (200, 20))))
    attributes: dict[str, object] = {
        "gen_ai.operation.name": kind,
        "gen_ai.response.id": draw(st.sampled_from(("", "", "chatcmpl-0123456789ab"))),
        "gen_ai.agent.name": draw(st.sampled_from(("", "clerk"))),
    }
    if kind == "chat":
        attributes |= {"gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}
    if usage is not None and kind:
        attributes |= dict(zip(("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"), usage, strict=True))
    ago_s = draw(st.sampled_from((0, 2, 290, 3600, 3700, 26 * 3600)))
    return span(
        draw(st.sampled_from(WORKSPACES)),
        f"s{number}",
        int(BASE.timestamp() - ago_s) * 1000 + number,
        draw(st.sampled_from((5, 2000, 4_000_000))),
        attributes,
        trace=draw(st.sampled_from(("t1", "t2"))),
        parent=draw(st.sampled_from(("", "s1", "s2", "s6"))),
        scope=draw(st.sampled_from(("one", "two"))),
        status=draw(st.sampled_from(("Unset", "Error"))),
    )


STEPS = st.one_of(
    st.builds(Tell, st.lists(spans(), min_size=2, max_size=8).map(tuple)),
    st.builds(Land, st.lists(events(), min_size=1, max_size=8).map(tuple)),
    st.sampled_from(
        (Build(), Build(), Build(("+int_changed_hours",)), Build(("+int_agent_events",)), Build(("path:models/marts",)))
    ),
    st.builds(Reprice, st.sampled_from(WORKSPACES), st.integers(1, 9), st.sampled_from((0, 27, 24 * 31))),
)


def _play(models: Models, step: Step) -> None:
    note(repr(step))
    if isinstance(step, Land):
        models.land(step.events)
    elif isinstance(step, Tell):
        land(models, "traces", step.spans)
    elif isinstance(step, Build):
        selected = [word for one in step.only for word in ("--select", one)]
        models.build(*selected)
    else:
        models.reprice(step.workspace_id, "openai", "gpt-4o", step.usd, BASE - timedelta(hours=step.hours_ago))


@settings(
    max_examples=int(os.environ.get("METERHOUSE_EXAMPLES", "1")),
    deadline=None,
    derandomize=True,
    # Shrinking would build the project hundreds of times; the steps of an example are short enough to read.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(steps=st.lists(STEPS, min_size=4, max_size=9))
def test_any_order_of_arrival_ends_as_a_full_refresh_would(models: Models, steps: list[Step]) -> None:
    models.start_over()
    models.build()
    for step in steps:
        _play(models, step)
    models.build()
    tables = [name for schema in ("intermediate", "marts") for name in models.tables(schema) if name not in BOOKS]
    grown = {name: models.digest(name) for name in tables}
    models.build("--full-refresh")
    whole = {name: models.digest(name) for name in tables}
    different = {name: (grown[name], whole[name]) for name in tables if grown[name] != whole[name]}
    assert different == {}
