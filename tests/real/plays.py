"""Real libraries at work, a function a scenario; its name is its workspace.

Each takes a Stage and notes there what it did that the provider does not see: tools run, runs ended.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import pytest

from tests.real.stage import Protocol, Stage, logger_to
from tests.real.standin import CACHED, REASONING

ASK: list[Any] = [{"role": "user", "content": "hello"}]
MODEL: Final = "gpt-4o"
BOTH: Final = ("opentelemetry", "openinference")


@contextmanager
def instrumented(stage: Stage, *libraries: str) -> Iterator[None]:
    """OpenAI's SDK under OpenTelemetry's instrumentation, OpenInference's, or both."""
    from openinference.instrumentation.openai import OpenAIInstrumentor as OpenInference
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor as OpenTelemetry

    with ExitStack() as stack:
        for name in libraries:
            made = OpenInference() if name == "openinference" else OpenTelemetry()  # type: ignore[no-untyped-call]  # the library has no types
            made.instrument(**({} if name == "openinference" else {"meter_provider": stage.meters}))
            stack.callback(made.uninstrument)
        yield


@contextmanager
def instrumented_agents() -> Iterator[None]:
    """pydantic-ai's own spans."""
    from pydantic_ai import Agent

    Agent.instrument_all()
    try:
        yield
    finally:
        Agent.instrument_all(False)


def openai_calls(url: str) -> None:
    """One plain, one streamed with usage, one refused."""
    import openai

    with openai.OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client:
        client.chat.completions.create(model=MODEL, messages=ASK)
        list(
            client.chat.completions.create(
                model=MODEL, messages=ASK, stream=True, stream_options={"include_usage": True}
            )
        )
        with pytest.raises(openai.RateLimitError):
            client.chat.completions.create(model="fail", messages=ASK)


def opentelemetry_only(stage: Stage) -> None:
    with instrumented(stage, "opentelemetry"):
        openai_calls(stage.url)


def openinference_only(stage: Stage) -> None:
    with instrumented(stage, "openinference"):
        openai_calls(stage.url)


def both_on_openai(stage: Stage) -> None:
    with instrumented(stage, *BOTH):
        openai_calls(stage.url)


def responses_api(stage: Stage) -> None:
    """OpenAI's newer API, one plain and one streamed."""
    import openai

    with instrumented(stage, *BOTH), openai.OpenAI(base_url=f"{stage.url}/v1", api_key="x") as client:
        client.responses.create(model=MODEL, input="hello")
        list(client.responses.create(model=MODEL, input="hello", stream=True))


def openllmetry_put_on_twice(stage: Stage) -> None:
    """OpenLLMetry's instrumentation around OpenInference's, which says no id. Taken off, it leaves its wrappers on:
    put on again, it reports each call twice."""
    from openai.resources.chat.completions import Completions
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Completions, "create", Completions.create)
        with instrumented(stage, "openinference"):
            made = OpenAIInstrumentor()
            for _ in range(2):
                made.instrument(meter_provider=stage.meters)
                made.uninstrument()
            openai_calls(stage.url)


def silent_stream(stage: Stage) -> None:
    """A stream of which nobody learns the usage is a call without tokens, once, however many report it."""
    import openai

    with instrumented(stage, *BOTH), openai.OpenAI(base_url=f"{stage.url}/v1", api_key="x") as client:
        list(client.chat.completions.create(model=MODEL, messages=ASK, stream=True))


def agent_and_two_instrumentations(stage: Stage) -> None:
    """pydantic-ai's own spans around the SDK's, twice instrumented, with a tool, in two turns of a conversation."""
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    model = OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=f"{stage.url}/v1", api_key="x"))
    clerk = Agent(model, name="clerk")

    @clerk.tool_plain
    def look_up() -> str:
        """Looks something up."""
        return stage.used("look_up")

    with instrumented_agents(), instrumented(stage, *BOTH):
        first = clerk.run_sync("hello")
        stage.ran("clerk")
        clerk.run_sync("again", message_history=first.all_messages())
        stage.ran("clerk")


def agent_over_anthropic(stage: Stage) -> None:
    """A framework's span and one of the SDK itself, which since 2.x reports without any instrumentation."""
    import anthropic
    from pydantic_ai import Agent
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    with instrumented_agents():
        provider = AnthropicProvider(base_url=stage.url, api_key="x")
        Agent(AnthropicModel("claude-sonnet-4-5", provider=provider), name="clo").run_sync("hello")
        stage.ran("clo")
    with (
        anthropic.Anthropic(base_url=stage.url, api_key="x") as client,
        client.messages.stream(model="claude-sonnet-4-5", max_tokens=9, messages=ASK) as stream,
    ):
        list(stream)


def anthropic_and_openinference(stage: Stage) -> None:
    """The SDK's own spans within those of an instrumentation, plain and streamed in both ways."""
    import anthropic
    from openinference.instrumentation.anthropic import AnthropicInstrumentor

    made = AnthropicInstrumentor()
    made.instrument()
    try:
        with anthropic.Anthropic(base_url=stage.url, api_key="x") as client:
            asked: dict[str, Any] = {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": ASK}
            client.messages.create(**asked)
            list(client.messages.create(**asked, stream=True))
            with client.messages.stream(**asked) as stream:
                list(stream)
    finally:
        made.uninstrument()


def agent_of_a_function(stage: Stage) -> None:
    """pydantic-ai's function model, which is the provider itself, and a tool that is asked again after it failed."""
    from pydantic_ai import Agent, ModelRetry
    from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
    from pydantic_ai.models.function import AgentInfo, FunctionModel
    from pydantic_ai.usage import RequestUsage

    class OpenAI(FunctionModel):
        @property
        def system(self) -> str:
            return "openai"

    def answer(_messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
        number, served = stage.provider.serve("openai", MODEL)
        usage = RequestUsage(
            input_tokens=served.input_tokens, cache_read_tokens=CACHED, output_tokens=served.output_tokens,
            details={"reasoning_tokens": REASONING},
        )  # fmt: skip
        return ModelResponse([ToolCallPart("search", {}) if number < 3 else TextPart("done")], usage=usage)

    seeker = Agent(OpenAI(answer, model_name=MODEL), name="seeker")

    @seeker.tool_plain(retries=2)
    def search() -> str:
        """Fails the first time."""
        is_ok = bool(stage.tools)
        stage.used("search", is_ok=is_ok)
        if not is_ok:
            raise ModelRetry("again")
        return "found"

    with instrumented_agents():
        seeker.run_sync("hello")
        stage.ran("seeker")


def failing_tool(stage: Stage) -> None:
    """pydantic-ai's test model calls every tool; this one fails, and its run."""
    from pydantic_ai import Agent
    from pydantic_ai.models.test import TestModel

    tester = Agent(TestModel(), name="tester")

    @tester.tool_plain
    def break_down() -> str:
        """Always fails."""
        stage.used("break_down", is_ok=False)
        raise ValueError("broken")

    with instrumented_agents(), pytest.raises(ValueError, match="broken"):
        tester.run_sync("hello")
    stage.ran("tester", is_ok=False)


def graph(stage: Stage) -> None:
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
        stage.used("look_up")
        return q

    def said(**more: Any) -> AIMessage:
        _, served = stage.provider.serve("openai", MODEL)
        usage = {
            "input_tokens": served.input_tokens, "output_tokens": served.output_tokens,
            "total_tokens": served.input_tokens + served.output_tokens, "input_token_details": {"cache_read": CACHED},
            "output_token_details": {"reasoning": REASONING},
        }  # fmt: skip
        return AIMessage(content="", usage_metadata=usage, **more)

    class ChatOpenAI(GenericFakeChatModel):
        """Named as LangChain's own, since it takes the provider from the name."""

        model_name: str = MODEL

    call = {"name": "look_up", "args": {"q": "x"}, "id": "call_1"}
    model = ChatOpenAI(messages=iter([said(tool_calls=[call]), said()]))

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
        stage.ran("LangGraph")
    finally:
        instrumentor.uninstrument()


def logging_handler(stage: Stage) -> None:
    """A program that logs what it does as JSON, by the standard library's logging under OpenTelemetry's handler."""
    _, served = stage.provider.serve("openai", MODEL)
    usage = {"provider": "openai", "model": MODEL, "tokens_prompt": served.input_tokens, "cache_read_tokens": CACHED}
    usage |= {"tokens_completion": served.output_tokens, "reasoning_tokens": REASONING}
    run = {"run_id": "r1", "agent": "scribe"}
    with logger_to(stage) as log:
        log.info(json.dumps({"type": "run_started", **run}))
        log.info(json.dumps({"type": "token_usage", **run, **usage, "success": True}))
        # As a dictionary: the handler makes a structured body of it.
        log.info({"type": "tool_call", "tool": "search", **run, "success": True})
        log.info("plain words of %s, which are no event", "the program")
        log.error(json.dumps({"type": "tool_call", "tool": "fetch", **run, "success": False, "error_type": "timeout"}))
        log.error(json.dumps({"type": "error", "error_type": "rate_limit", **run}))
        log.info(json.dumps({"type": "run_finished", **run, "success": True}))
    stage.used("search")
    stage.used("fetch", is_ok=False)
    stage.ran("scribe")


OVER_HTTP: Final = (
    opentelemetry_only, openinference_only, agent_over_anthropic, graph, failing_tool, responses_api,
    anthropic_and_openinference,
)  # fmt: skip
OVER_GRPC: Final = (
    both_on_openai, silent_stream, agent_and_two_instrumentations, agent_of_a_function, logging_handler,
    openllmetry_put_on_twice,
)  # fmt: skip
PLAYS: Final[dict[str, tuple[Protocol, Callable[[Stage], None]]]] = {
    **{play.__name__: ("http", play) for play in OVER_HTTP},
    **{play.__name__: ("grpc", play) for play in OVER_GRPC},
}
