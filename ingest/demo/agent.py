"""The demo's real agent: pydantic-ai with a function for a model, a program that knows nothing of Meterhouse.

In: OTEL_EXPORTER_OTLP_* of the environment, as any program with OpenTelemetry reads them. Out: spans by OTLP, and on
stdout what it counted itself, as JSON (Counted). No network but the exporter's. pydantic-ai and the SDK come with
requirements-dev.lock; without them it ends with ModuleNotFoundError.
"""

import sys
from decimal import Decimal
from typing import Final

import msgspec

RUNS: Final = 3
PROVIDER: Final = "openai"
MODEL: Final = "gpt-4o-mini"
# This search fails, which the model is told of.
FAILS_AT: Final = 2


class Counted(msgspec.Struct):
    """What the agent's own program knows of its work; money as pydantic-ai's price list has it."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    tool_calls: int = 0
    failed_tool_calls: int = 0
    runs: int = 0


def main() -> None:
    """Asks it some questions, sends the spans, says what it counted."""
    from genai_prices import calc_price
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from pydantic_ai import Agent, InstrumentationSettings, ModelRetry
    from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
    from pydantic_ai.models.function import AgentInfo, FunctionModel
    from pydantic_ai.usage import RequestUsage

    counted = Counted()

    class OpenAI(FunctionModel):
        """Says the provider whose prices apply."""

        @property
        def system(self) -> str:
            return PROVIDER

    def answer(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        counted.calls += 1
        usage = RequestUsage(
            input_tokens=900 + 37 * counted.calls, cache_read_tokens=256, output_tokens=60 + 11 * counted.calls
        )
        counted.input_tokens += usage.input_tokens
        counted.output_tokens += usage.output_tokens
        counted.cost_usd += calc_price(usage, MODEL, provider_id=PROVIDER).total_price
        has_found = any(isinstance(part, ToolReturnPart) for part in messages[-1].parts)
        return ModelResponse(
            [TextPart("fair") if has_found else ToolCallPart("search", {"city": "Delft"})], usage=usage
        )

    agent = Agent(OpenAI(answer, model_name=MODEL), name="weather-clerk")

    @agent.tool_plain(retries=1)
    def search(city: str) -> str:
        counted.tool_calls += 1
        if counted.tool_calls == FAILS_AT:
            counted.failed_tool_calls += 1
            raise ModelRetry(f"no weather of {city} yet")
        return "fair"

    provider = TracerProvider(resource=Resource({"service.name": "weather", "deployment.environment.name": "prod"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    Agent.instrument_all(InstrumentationSettings(tracer_provider=provider, include_content=False))
    for _ in range(RUNS):
        agent.run_sync("How is the weather in Delft?")
        counted.runs += 1
    provider.shutdown()
    sys.stdout.write(msgspec.json.encode(counted).decode())


if __name__ == "__main__":
    main()
