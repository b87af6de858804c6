"""Spans and logs of instrumentations that no test drives, by what they write; a workspace each.

Names of attributes are those of the libraries' own sources and documentation, of November 2026.
"""

from typing import Final

from tests.integration.otel_models.words import AGENT, AT, ID, INFERENCE, chat
from tests.support.otel_rows import log, span, text

STRANDS, CREW = "strands.telemetry.tracer", "openinference.instrumentation.crewai"
CACHED: Final = "gen_ai.usage.cache_read_input_tokens"
STRANDS_WORDS: Final = {"gen_ai.system": "strands-agents", "gen_ai.provider.name": "strands-agents"}
UNLISTED: Final = [
    # Langfuse's SDK: usage as a JSON object. Its LangChain handler takes the cache out of the input, which the total
    # tells; what it passes on of OpenAI has it in.
    span("langfuse", "g1", AT, 900, {
        "langfuse.observation.type": "generation", "langfuse.observation.model.name": "gpt-4o",
        "langfuse.observation.usage_details": '{"input": 60, "output": 10, "total": 110, "input_cache_read": 40}',
    }, scope="langfuse-sdk"),
    span("langfuse", "g2", AT + 2000, 900, {
        "langfuse.observation.type": "generation", "langfuse.observation.model.name": "gpt-4o",
        "langfuse.observation.usage_details": '{"prompt_tokens": 300, "completion_tokens": 10, "total_tokens": 310, '
        '"prompt_tokens_details": {"cached_tokens": 40}}',
    }, scope="langfuse-sdk"),
    span("langfuse", "e", AT, 5, {"langfuse.observation.type": "event"}, scope="langfuse-sdk"),
    # MLflow: values as JSON writes them, and a chat model within an agent that sums.
    span("mlflow", "r", AT, 3000, {
        "mlflow.spanType": '"AGENT"',
        "mlflow.chat.tokenUsage": '{"input_tokens": 100, "output_tokens": 10, "total_tokens": 110}',
    }, scope="mlflow"),
    span("mlflow", "c", AT + 1, 900, {
        "mlflow.spanType": '"CHAT_MODEL"', "mlflow.llm.model": '"gpt-4o"', "mlflow.llm.provider": '"openai"',
        "mlflow.chat.tokenUsage": '{"input_tokens": 100, "output_tokens": 10, "total_tokens": 110}',
    }, parent="r", scope="mlflow"),
    # LiteLLM: the proxy's request, the call with its cost, and the request to the provider, all with one response id.
    span("litellm", "p", AT, 1200, {"gen_ai.operation.name": "chat", **chat(100, 10), **ID}, scope="litellm"),
    span("litellm", "c", AT + 1, 1000, {**chat(100, 10), **ID, "gen_ai.cost.total_cost": 0.00035}, parent="p",
         scope="litellm"),
    span("litellm", "w", AT + 2, 990, {"llm.openai.model": "gpt-4o", "llm.openai.id": "x"}, parent="c",
         scope="litellm"),
    # Vercel's pair, in version 5's words and in OpenTelemetry's.
    span("vercel", "o", AT, 1000, {
        "ai.operationId": "ai.generateText", "ai.model.id": "gpt-4o", "ai.model.provider": "openai.responses",
        "ai.usage.inputTokens": 300, "ai.usage.outputTokens": 30, "ai.usage.totalTokens": 330,
    }, scope="ai"),
    *(
        span("vercel", f"i{step}", AT + step, 900, {
            "ai.operationId": "ai.generateText.doGenerate", "ai.model.id": "gpt-4o",
            "ai.model.provider": "openai.responses", "ai.usage.inputTokens": inputs,
            "ai.usage.outputTokens": 15, "gen_ai.usage.input_tokens": inputs,
            "ai.usage.inputTokenDetails.noCacheTokens": inputs, "ai.response.avgOutputTokensPerSecond": 9.5,
            "gen_ai.usage.output_tokens": 15, "gen_ai.system": "openai.responses", "gen_ai.request.model": "gpt-4o",
        }, parent="o", scope="ai")
        for step, inputs in ((1, 100), (1001, 200))
    ),
    # Google ADK: call_llm around generate_content, thoughts beside the output, tools side by side told twice.
    span("adk", "v", AT, 5000, AGENT, scope="gcp.vertex.agent"),
    *(
        span("adk", name, AT + 1, 900, {
            "gen_ai.system": "gcp.vertex.agent", "gen_ai.request.model": "gemini-2.5-pro",
            "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 10,
            "gen_ai.usage.experimental.reasoning_tokens": 25, **more,
        }, parent=parent, scope="gcp.vertex.agent", name=name)
        for name, parent, more in (
            ("call_llm", "v", {}), ("generate", "call_llm", {"gen_ai.operation.name": "generate_content"}),
        )
    ),
    *(
        span("adk", f"t{name}", AT + 2, 50, {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name},
             parent="v", scope="gcp.vertex.agent")
        for name in ("search", "fetch", "(merged tools)")
    ),
    # Traceloop's Gemini says of the thoughts only that the total has them; its Bedrock leaves the cache out.
    span("traceloop", "g", AT, 900, {
        "llm.request.type": "completion", "gen_ai.system": "Google", "gen_ai.request.model": "gemini-2.5-flash",
        "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 10, "llm.usage.total_tokens": 135,
    }, scope="opentelemetry.instrumentation.google_generativeai"),
    span("traceloop", "b", AT, 900, {
        "llm.request.type": "chat", "gen_ai.system": "AWS",
        "gen_ai.request.model": "anthropic.claude-sonnet-4-5-20250929-v1:0", "gen_ai.usage.input_tokens": 50,
        "gen_ai.usage.output_tokens": 10, CACHED: 30,
    }, scope="opentelemetry.instrumentation.bedrock"),
    # LangSmith's export: the parts of the usage in a JSON object of its metadata.
    span("langsmith", "c", AT, 900, {
        **chat(100, 10), "langsmith.span.kind": "llm", "gen_ai.usage.total_tokens": 110,
        "langsmith.metadata.usage_metadata": '{"input_tokens":100,"output_tokens":10,"total_tokens":110,'
        '"input_token_details":{"cache_read":40},"output_token_details":{"reasoning":5}}',
    }, scope="langsmith"),
    # Strands: the agent's sum, a cycle without usage, and its calls. The model's provider says what it counts.
    span("strands", "r", AT, 9000, {**chat(150, 30), **AGENT, CACHED: 60}, scope=STRANDS),
    span("strands", "e", AT + 1, 8000, {"event_loop.cycle_id": "1"}, parent="r", scope=STRANDS),
    span("strands", "c1", AT + 2, 900, {**chat(50, 10), **STRANDS_WORDS}, parent="e", scope=STRANDS),
    span("strands", "c2", AT + 1000, 900, {**chat(100, 20), **STRANDS_WORDS, CACHED: 60}, parent="e", scope=STRANDS),
    span("strands", "c3", AT + 2000, 900, {
        **chat(100, 20), **STRANDS_WORDS, "gen_ai.request.model": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        CACHED: 60,
    }, parent="e", scope=STRANDS),
    # OpenLIT where it knows no price.
    span("no_price", "c", AT, 900, {**chat(100, 10), "gen_ai.usage.cost": 0, "gen_ai.client.token.usage": 110},
         scope="openlit.instrumentation.openai"),
    # Semantic Kernel's own names; CrewAI's crew with the sum of its calls by OpenInference.
    span("kernel", "c", AT, 900, {
        "gen_ai.operation.name": "chat.completions", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.prompt_tokens": 100, "gen_ai.response.completion_tokens": 10,
    }, scope="Microsoft.SemanticKernel.Diagnostics"),
    span("crewai", "k", AT, 5000, {
        "openinference.span.kind": "CHAIN", "llm.token_count.prompt": 200, "llm.token_count.completion": 20,
    }, scope=CREW),
    span("crewai", "a", AT + 1, 4000, {"openinference.span.kind": "AGENT"}, parent="k", scope=CREW),
    span("crewai", "l1", AT + 2, 900, INFERENCE, parent="a", scope="openinference.instrumentation.litellm"),
    span("crewai", "l2", AT + 2000, 900, INFERENCE, parent="a", scope="openinference.instrumentation.litellm"),
    # OpenLIT says what the call cost, and the cache in a name of its own. Braintrust tells all in JSON objects.
    span("openlit", "c", AT, 900, {
        "gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 10, "gen_ai.usage.cost": 0.0004,
        "gen_ai.usage.prompt_tokens_details.cache_read": 40,
        "gen_ai.usage.completion_tokens_details.reasoning": 5,
    }, scope="openlit.otel.tracing"),
    span("braintrust", "t", AT, 3000, {"braintrust.span_attributes": '{"type": "task", "name": "support"}'},
         scope="braintrust"),
    span("braintrust", "c", AT + 1, 900, {
        "braintrust.span_attributes": '{"type": "llm", "name": "Chat Completion"}',
        "braintrust.metadata": '{"model": "gpt-4o", "provider": "openai"}',
        "braintrust.metrics": '{"prompt_tokens": 100, "completion_tokens": 10, "tokens": 110, '
        '"prompt_cached_tokens": 40, "completion_reasoning_tokens": 5}',
    }, parent="t", scope="braintrust"),
    span("braintrust", "s", AT + 1000, 5, {"braintrust.span_attributes": '{"type": "score", "name": "Levenshtein"}'},
         parent="t", scope="braintrust"),
    # Claude Code tells a call as a log and, where tracing is on, as a span; its input leaves the cache out.
    span("claude", "i", AT, 9000, {"span.type": "interaction"}, scope="com.anthropic.claude_code.tracing"),
    span("claude", "l", AT + 1000, 2000, {
        "span.type": "llm_request", "model": "claude-sonnet-4-5", "gen_ai.system": "anthropic", "input_tokens": 4,
        "output_tokens": 90, "cache_read_tokens": 1000, "cache_creation_tokens": 500,
    }, parent="i", scope="com.anthropic.claude_code.tracing"),
]  # fmt: skip
# Gemini CLI: the thoughts beside the output, which its total tells.
GEMINI_LOGS: Final = [
    {
        **log("gemini", AT + at, {}),
        "Body": "[dropped]", "ScopeName": "gemini-cli",
        "LogAttributes": {"event.name": name, "session.id": "s1", **{key: text(value) for key, value in said.items()}},
    }
    for at, name, said in (
        (3000, "gemini_cli.api_response", {
            "model": "gemini-2.5-pro", "input_token_count": 1000, "output_token_count": 40,
            "cached_content_token_count": 600, "thoughts_token_count": 25, "total_token_count": 1065,
            "status_code": 200, "duration_ms": 2000,
        }),
        (4000, "gemini_cli.tool_call", {"function_name": "read_file", "success": True, "duration_ms": 80}),
        (5000, "gemini_cli.api_error", {"model": "gemini-2.5-pro", "error_type": "quota", "status_code": 429}),
        (100, "gemini_cli.user_prompt", {"prompt_length": 12}),
    )
]  # fmt: skip
AGENT_LOGS: Final = [
    {
        **log("claude", AT + at, {}, trace="t1", inside="i"),
        "Body": "[dropped]", "ScopeName": "com.anthropic.claude_code.events",
        "LogAttributes": {"event.name": name, "session.id": "s1", **{key: text(value) for key, value in said.items()}},
    }
    for at, name, said in (
        (3000, "api_request", {
            "model": "claude-sonnet-4-5", "input_tokens": 4, "output_tokens": 90, "cache_read_tokens": 1000,
            "cache_creation_tokens": 500, "cost_usd": 0.0035, "duration_ms": 2000,
        }),
        (9000, "api_request", {
            "model": "claude-sonnet-4-5", "input_tokens": 7, "output_tokens": 9, "cache_read_tokens": 0,
            "cache_creation_tokens": 0, "cost_usd": 0.0001, "duration_ms": 400,
        }),
        (3500, "tool_result", {"tool_name": "Bash", "success": True, "duration_ms": 80}),
        (100, "user_prompt", {"prompt_length": 12}),
    )
]  # fmt: skip
