"""What calls say of themselves, for the spans of these tests."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

# A quarter to the hour, so that what lasts longer ends in the next.
AT: Final = int(datetime(2026, 11, 20, 10, 45, tzinfo=UTC).timestamp() * 1000)
MODEL: Final = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}


def chat(inputs: int, outputs: int, **more: object) -> Mapping[str, object]:
    """A call in OpenTelemetry's words; `more` with __ for dots."""
    usage = {"gen_ai.usage.input_tokens": inputs, "gen_ai.usage.output_tokens": outputs}
    return {**MODEL, **usage, **{name.replace("__", "."): value for name, value in more.items()}}


INFERENCE: Final = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "gpt-4o-2024-08-06",
    "llm.system": "openai",
    "llm.token_count.prompt": 100,
    "llm.token_count.completion": 10,
    "llm.token_count.prompt_details.cache_read": 40,
}
WITHOUT_USAGE: Final = {name: value for name, value in INFERENCE.items() if "token_count" not in name}
AGENT: Final = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "clerk"}
ID: Final = {"gen_ai.response.id": "chatcmpl-AbCdEfGhIjKlMnOp"}
