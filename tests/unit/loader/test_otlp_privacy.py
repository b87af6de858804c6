"""The loader's columns keep the door's rules: whatever the door would take out does not land, and nothing else goes."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.contracts.otlp_privacy import ExportRequest, scrub
from ingest.contracts.outcome import EventLimits
from ingest.loader.otlp import OtlpDecoder
from ingest.loader.otlp_wire import REQUESTS
from ingest.loader.run import Decoded
from ingest.signals import Signal
from tests.support.otlp import PLANTED, log_requests, metric_requests, trace_requests
from tests.support.otlp_requests import attributes, traces

JUDGED_AT_MS = 1_795_426_300_000
# As Google ADK, MLflow, Langfuse, smolagents, CrewAI, Haystack, Genkit, LiveKit, Braintrust, Claude Code, LiteLLM do.
CONTENT_AND_PEOPLE = [
    "gcp.vertex.agent.llm_request",
    "gcp.vertex.agent.llm_response",
    "gcp.vertex.agent.tool_call_args",
    "gcp.vertex.agent.data",
    "mlflow.spanInputs",
    "mlflow.spanOutputs",
    "mlflow.trace.user",
    "mlflow.user",
    "langfuse.observation.input",
    "langfuse.trace.output",
    "langfuse.user.id",
    "final_result",
    "agent.task",
    "smolagents.task",
    "crew_agents",
    "crew_tasks",
    "crew_inputs",
    "haystack.pipeline.input_data",
    "genkit:input",
    "genkit:metadata:context",
    "lk.chat_ctx",
    "braintrust.input_json",
    "logfire.msg",
    "request_data",
    "llm.openai.choices",
    "user.account_uuid",
    "user.account_id",
    "bash_command",
    "full_command",
    "system_prompt_preview",
    "metadata.user_api_key_user_email",
    "process.owner",
    "process.command_line",
]
_SIGNALS: dict[type[ExportRequest], Signal] = {kind: signal for signal, kind in REQUESTS.items()}


def landed(request: ExportRequest) -> Decoded:
    decoder = OtlpDecoder(_SIGNALS[type(request)], EventLimits(max_age_ms=10**15), max_bytes=4 << 20, workspace="acme")
    return decoder.decode([request.SerializeToString()], JUDGED_AT_MS)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(trace_requests, log_requests, metric_requests))
def test_what_the_door_would_take_out_does_not_land_and_all_else_does(request: ExportRequest) -> None:
    straight = landed(request)
    clean = type(request).FromString(request.SerializeToString())
    scrub(clean, {})
    through_the_door = landed(clean)
    assert straight.rows.to_pydict() == through_the_door.rows.to_pydict()
    assert PLANTED not in str(straight.rows.to_pydict())
    assert [str(one.rows) for one in straight.others] == [str(one.rows) for one in through_the_door.others]
    assert PLANTED not in str([one.payload for one in straight.rejected])


def attributes_landed(**said: str) -> dict[str, str]:
    """What lands of attributes of a span; names with __ for dots."""
    request = traces(1, JUDGED_AT_MS * 10**6, random.Random(1))
    span = request.resource_spans[0].scope_spans[0].spans[0]
    del span.attributes[:]
    span.attributes.extend(attributes({name.replace("__", "."): value for name, value in said.items()}))
    return dict(landed(request).rows.column("SpanAttributes")[0].as_py())


@pytest.mark.parametrize("name", ["meterhouse.actor_id", "meterhouse.prompt_hash"])
@pytest.mark.parametrize(
    "value",
    ["jane@example.com", "jane%40example.com", "jane.doe", "4711", "+49 170 1234567", "f00d", "k1:jane", "a" * 31],
)
def test_who_passes_on_an_identifier_as_the_doors_name_of_somebody_lands_none(name: str, value: str) -> None:
    assert attributes_landed(**{name: value, "note": "x"}) == {"note": "x"}


@pytest.mark.parametrize("value", ["k1:" + "0f" * 16, "0f" * 32])
def test_the_doors_and_the_collectors_names_of_somebody_land(value: str) -> None:
    assert attributes_landed(meterhouse__actor_id=value) == {"meterhouse.actor_id": value}


@pytest.mark.parametrize(
    "name",
    CONTENT_AND_PEOPLE,
)
def test_what_instrumentations_write_of_people_and_their_words_does_not_land(name: str) -> None:
    assert attributes_landed(**{name: "SECRET"}) == {}


def test_counts_within_json_of_a_content_free_name_land() -> None:
    said = {
        "langfuse.observation.usage_details": '{"input": 12, "output": 3}',
        "mlflow.chat.tokenUsage": '{"input_tokens": 1}',
    }
    assert attributes_landed(**said) == said
