"""Real libraries against a provider that counts: whatever reports a call, and how often, it is counted and priced once.

Nothing is made by hand but the provider. Every scenario has a workspace of its own; all are built at once.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ingest.settings import load_settings
from ingest.warehouse import connect
from tests.conftest import drop_databases
from tests.real import standin
from tests.support import otel_rows
from tests.support.models import Models
from tests.support.shared import Engine

ASK: list[Any] = [{"role": "user", "content": "hello"}]
Row = Mapping[str, object]


@contextmanager
def instrumented(*libraries: str) -> Iterator[None]:
    """OpenAI's SDK under OpenTelemetry's instrumentation, OpenInference's, or both."""
    from openinference.instrumentation.openai import OpenAIInstrumentor as OpenInference
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor as OpenTelemetry

    with ExitStack() as stack:
        for name in libraries:
            made = OpenInference() if name == "openinference" else OpenTelemetry()  # type: ignore[no-untyped-call]  # the library has no types
            made.instrument()
            stack.callback(made.uninstrument)
        yield


def openai_calls(url: str) -> None:
    """One plain, one streamed with usage, one refused."""
    import openai

    with openai.OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client:
        client.chat.completions.create(model="gpt-4o", messages=ASK)
        list(
            client.chat.completions.create(
                model="gpt-4o", messages=ASK, stream=True, stream_options={"include_usage": True}
            )
        )
        with pytest.raises(openai.RateLimitError):
            client.chat.completions.create(model="fail", messages=ASK)


def opentelemetry_only(url: str) -> None:
    with instrumented("opentelemetry"):
        openai_calls(url)


def openinference_only(url: str) -> None:
    with instrumented("openinference"):
        openai_calls(url)


def both_on_openai(url: str) -> None:
    with instrumented("opentelemetry", "openinference"):
        openai_calls(url)


def silent_stream(url: str) -> None:
    """A stream of which nobody learns the usage is a call without tokens, once, however many report it."""
    import openai

    with (
        instrumented("opentelemetry", "openinference"),
        openai.OpenAI(base_url=f"{url}/v1", api_key="x") as client,
    ):
        list(client.chat.completions.create(model="gpt-4o", messages=ASK, stream=True))


def agent_and_two_instrumentations(url: str) -> None:
    """pydantic-ai's own spans around the SDK's, twice instrumented, with a tool, in two turns of a conversation."""
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    model = OpenAIChatModel("gpt-4o", provider=OpenAIProvider(base_url=f"{url}/v1", api_key="x"))
    clerk = Agent(model, name="clerk")

    @clerk.tool_plain
    def look_up() -> str:
        """Looks something up."""
        return "found"

    Agent.instrument_all()
    try:
        with instrumented("opentelemetry", "openinference"):
            first = clerk.run_sync("hello")
            clerk.run_sync("again", message_history=first.all_messages())
    finally:
        Agent.instrument_all(False)


def agent_over_anthropic(url: str) -> None:
    """A framework's span and one of the SDK itself, which since 2.x reports without any instrumentation."""
    import anthropic
    from pydantic_ai import Agent
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    Agent.instrument_all()
    try:
        Agent(
            AnthropicModel("claude-sonnet-4-5", provider=AnthropicProvider(base_url=url, api_key="x")), name="clo"
        ).run_sync("hello")
    finally:
        Agent.instrument_all(False)
    with (
        anthropic.Anthropic(base_url=url, api_key="x") as client,
        client.messages.stream(model="claude-sonnet-4-5", max_tokens=9, messages=ASK) as stream,
    ):
        list(stream)


SCENARIOS: dict[str, Callable[[str], None]] = {
    one.__name__: one
    for one in (
        opentelemetry_only,
        openinference_only,
        both_on_openai,
        silent_stream,
        agent_and_two_instrumentations,
        agent_over_anthropic,
    )
}


def failing_tool() -> None:
    """pydantic-ai's test model calls every tool; this one fails."""
    from pydantic_ai import Agent
    from pydantic_ai.models.test import TestModel

    tester = Agent(TestModel(), name="tester")

    @tester.tool_plain
    def break_down() -> str:
        """Always fails."""
        raise ValueError("broken")

    Agent.instrument_all()
    try:
        with pytest.raises(ValueError, match="broken"):
            tester.run_sync("hello")
    finally:
        Agent.instrument_all(False)


def graph() -> None:
    """LangGraph with a fake model and a tool, under OpenInference."""
    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage, HumanMessage
    from langchain_core.tools import tool
    from langgraph.graph import END, START, MessagesState, StateGraph
    from langgraph.prebuilt import ToolNode
    from openinference.instrumentation.langchain import LangChainInstrumentor

    @tool
    def look_up(q: str) -> str:
        """Looks something up."""
        return q

    def said(number: int, **more: Any) -> AIMessage:
        usage = {"input_tokens": 100 * number, "output_tokens": 10 * number, "total_tokens": 110 * number}
        return AIMessage(content="", usage_metadata=usage, **more)

    call = {"name": "look_up", "args": {"q": "x"}, "id": "call_1"}
    model = GenericFakeChatModel(messages=iter([said(1, tool_calls=[call]), said(2)]))

    def think(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    def onward(state: MessagesState) -> str:
        return "tools" if getattr(state["messages"][-1], "tool_calls", None) else END

    made = StateGraph(MessagesState)
    made.add_node("think", think)
    made.add_node("tools", ToolNode([look_up]))
    made.add_edge(START, "think")
    made.add_conditional_edges("think", onward)
    made.add_edge("tools", "think")
    instrumentor = LangChainInstrumentor()
    instrumentor.instrument()
    try:
        made.compile().invoke(MessagesState(messages=[HumanMessage("hello")]))  # type: ignore[arg-type]  # untyped
    finally:
        instrumentor.uninstrument()


@dataclass(frozen=True)
class Told:
    """The built warehouse, and by scenario what the provider served."""

    models: Models
    served: Mapping[str, list[standin.Served]]

    def events(self, workspace_id: str, event_type: str) -> list[Row]:
        where = f"workspace_id = '{workspace_id}' and event_type = '{event_type}'"
        return list(self.models.rows("intermediate.int_agent_events", where=where))


@pytest.fixture(scope="module")
def told(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "shop"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    served: dict[str, list[standin.Served]] = {}
    rows: list[Row] = []
    for name, play in SCENARIOS.items():
        with standin.running() as server:
            play(server.url)
            served[name] = server.calls
        rows += otel_rows.from_sdk(exporter.get_finished_spans(), name)
        exporter.clear()
    for work in (failing_tool, graph):
        work()
        rows += otel_rows.from_sdk(exporter.get_finished_spans(), work.__name__)
        exporter.clear()
    settings = load_settings(
        home=tmp_path_factory.mktemp("real"), clickhouse_url=engine.url, database_prefix=f"t{uuid.uuid4().hex[:10]}_"
    )
    client = connect(settings.clickhouse, connect_timeout_s=5, request_timeout_s=60)
    models = Models(settings, client, "")
    models.set_up()
    otel_rows.land(models, "traces", rows)
    models.build("--select", "+llm_daily", "+usage_conformance_daily", "+int_agent_runs")
    yield Told(models, served)
    drop_databases(settings)
    client.close()


@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if name != "silent_stream"])
def test_calls_and_tokens_are_what_the_provider_counted(told: Told, scenario: str) -> None:
    calls, served = told.events(scenario, "llm_call"), told.served[scenario]
    counted = sorted((row["input_tokens"] or 0, row["output_tokens"] or 0) for row in calls)
    assert counted == sorted((one.input_tokens, one.output_tokens) for one in served)
    assert sum(row["status"] == "error" for row in calls) == sum(one.input_tokens == 0 for one in served)


@pytest.mark.parametrize(
    "scenario", ["openinference_only", "both_on_openai", "agent_and_two_instrumentations", "agent_over_anthropic"]
)
def test_the_price_is_that_of_the_best_informed_report(told: Told, scenario: str) -> None:
    # Today's list prices, USD a million tokens: input, read from the cache, written to it, output.
    rates = {"openai": ("2.5", "1.25", "0", "10"), "anthropic": ("3", "0.3", "3.75", "15")}
    expected = Decimal(0)
    for one in told.served[scenario]:
        if one.input_tokens:
            plain, read, write, out = (Decimal(rate) / 1_000_000 for rate in rates[one.provider])
            written = standin.WRITTEN if one.provider == "anthropic" else 0
            expected += (one.input_tokens - standin.CACHED - written) * plain + one.output_tokens * out
            expected += standin.CACHED * read + written * write
    daily = told.models.rows("marts.llm_daily", "calls, cost_usd", where=f"workspace_id = '{scenario}'")
    assert sum((Decimal(str(row["cost_usd"] or 0)) for row in daily), Decimal(0)) == expected
    assert sum(int(str(row["calls"])) for row in daily) == len(told.served[scenario])


def test_a_stream_without_usage_is_one_call_without_tokens(told: Told) -> None:
    calls = told.events("silent_stream", "llm_call")
    assert [(row["input_tokens"], row["cost_source"], row["unpriced_reason"]) for row in calls] == [
        (None, "unpriced", "no_tokens")
    ]


def test_an_agents_tools_and_runs_are_counted_and_carry_its_name(told: Told) -> None:
    scenario = "agent_and_two_instrumentations"
    assert [row["tool_name"] for row in told.events(scenario, "tool_call")] == ["look_up"]
    runs = told.models.rows("intermediate.int_agent_runs", where=f"workspace_id = '{scenario}'")
    assert [(row["agent"], row["run_status"]) for row in runs] == [("clerk", "ok"), ("clerk", "ok")]
    assert sorted(int(str(row["llm_calls"])) for row in runs) == [1, 2]
    assert len({row["session_id"] for row in told.events(scenario, "llm_call")}) == 1


def test_a_failing_tool_fails_its_run(told: Told) -> None:
    (tool,) = told.events("failing_tool", "tool_call")
    (run,) = told.events("failing_tool", "agent_run_finished")
    assert (tool["tool_name"], tool["status"], tool["error_type"]) == ("break_down", "error", "ValueError")
    assert (run["agent"], run["status"]) == ("tester", "error")


def test_a_graph_is_one_run_with_its_calls_and_its_tool(told: Told) -> None:
    calls = told.events("graph", "llm_call")
    assert sorted((row["input_tokens"], row["output_tokens"]) for row in calls) == [(100, 10), (200, 20)]
    assert [row["tool_name"] for row in told.events("graph", "tool_call")] == ["look_up"]
    (run,) = told.events("graph", "agent_run_finished")
    assert run["agent"] == "LangGraph"
    assert {row["run_id"] for row in calls} == {run["run_id"]}


def test_conformance_says_what_was_not_counted(told: Told) -> None:
    where = "workspace_id = 'agent_and_two_instrumentations'"
    rows = told.models.rows("marts.usage_conformance_daily", where=where)
    assert sum(int(str(row["calls"])) for row in rows) == 3
    assert sum(int(str(row["twins_skipped"])) for row in rows) == 6
    assert sum(int(str(row["roll_ups_skipped"])) for row in rows) == 2
    (agent,) = [row for row in rows if row["scope_name"] == "pydantic-ai"]
    assert agent["roll_up_tokens"] == agent["leaf_tokens"]
    assert agent["suspected_inflation_share"] == 0
    assert all(row["unknown_attributes"] == [] for row in rows)
