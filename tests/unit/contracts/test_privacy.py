"""What must never land, neither in rows nor in dead letters, and what must survive."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.contracts.denial import denied
from ingest.contracts.denied_names import (
    CONTENT_ENDINGS,
    CONTENT_FAMILIES,
    CONTENT_NAMES,
    IDENTIFIER_ENDINGS,
    IDENTIFIER_NAMES,
    SECRET_ENDINGS,
    SECRET_FAMILIES,
    SECRET_NAMES,
)
from ingest.contracts.fields import FIELD_NAMES
from ingest.contracts.privacy import scrub_payload, scrub_value

unhurried = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])

ALL_RULES = [
    *CONTENT_ENDINGS, *CONTENT_NAMES, *CONTENT_FAMILIES, *IDENTIFIER_ENDINGS, *IDENTIFIER_NAMES, *SECRET_ENDINGS,
    *SECRET_NAMES, *SECRET_FAMILIES,
]  # fmt: skip


def names_in(text: str) -> list[str]:
    return text.split()


DENIED = names_in("""
prompt completion messages content input output text email user_id userId USER-ID username name fullName
phoneNumber ip clientIp client.address x-api-key OPENAI_API_KEY Authorization password access_token
gen_ai.prompt gen_ai.completion.0.content gen_ai.input.messages gen_ai.output.messages
gen_ai.system_instructions gen_ai.tool.call.arguments gen_ai.tool.call.result
gen_ai.prompt.0.tool_calls.0.function.arguments llm.prompts.0 llm.input_messages.0.message.content
llm.invocation_parameters input.value output.value retrieval.documents.0.document.content embedding.text
reranker.query traceloop.entity.input ai.prompt.messages ai.response.text ai.response.toolCalls ai.toolCall.args
ai.toolCall.result ai.telemetry.metadata.userId inputs outputs langfuse.observation.input langfuse.user.id
mlflow.spanInputs enduser.id net.peer.ip http.request.header.x-tenant exception.message exception.stacktrace
db.query.text systemPrompt tool_input raw_response e-mail customer_name x-forwarded-for date_of_birth
""")

HARMLESS = names_in("""
prompt_hash prompt_version prompt_name model_name tool_name event_name service.name input_tokens output_tokens
gen_ai.usage.input_tokens gen_ai.request.max_tokens gen_ai.response.model gen_ai.response.finish_reasons
gen_ai.prompt.version llm.token_count.prompt llm.model_name ai.usage.promptTokens ai.model.id session.id run_id
message_count content_type text_length cost_per_user cost_input tokens.output ship zip_file tip ip_version
user_tier user_hash server.address http.route region attempt sdk retry amount_cents document_count
cost_per_token id_tokens contextual nameplate
""")


@pytest.mark.parametrize("name", DENIED)
def test_content_identifiers_and_secrets_are_denied_in_every_spelling(name: str) -> None:
    assert denied(name) is not None
    assert scrub_value({name: "marzipan"}, {}) == {}


@pytest.mark.parametrize("name", sorted({*HARMLESS, *FIELD_NAMES}))
def test_measures_hashes_versions_and_the_contracts_own_fields_survive(name: str) -> None:
    assert denied(name) is None


@pytest.mark.parametrize("rule", ALL_RULES)
def test_every_entry_of_the_deny_list_hits_whatever_glues_its_words(rule: str) -> None:
    for spelling in (rule, rule.replace("_", "."), rule.replace("_", ""), rule.upper(), rule.title().replace("_", "")):
        assert denied(spelling) is not None, spelling


def test_numbers_under_content_names_are_measures_and_stay_but_identifiers_go_whatever_they_are() -> None:
    assert scrub_value({"usage": {"input": 12, "output": 0.5}, "text": True}, {}) == {
        "usage": {"input": 12, "output": 0.5},
        "text": True,
    }
    assert scrub_value({"user_id": 12, "phone": 0}, {}) == {}


SECRET = "marzipan"
PAYLOADS = [
    '{"prompt":"marzipan"}',
    '{"prompt":"marzipan","a":1',
    '{"a":1,"prompt":"mar zipan marzipan',
    "{'prompt': 'marzipan', 'a': 1}",
    "{prompt: marzipan, and more marzipan}",
    '{"prompt":"he said "marzipan", "marzipan"","a":1}',
    '{"prompt":"say "} marzipan","a":1}',
    '{"context":{"messages":[{"role":"user","content":"marzipan"}],"x":1},"y":bad}',
    '{"messages":[{"role":"user","content":"marzipan","x":1',
    '{"messages":[{"a":"]}"},"marzipan"],"x":bad}',
    "prompt=marzipan&user_id=marzipan",
    '{"pro\\u006dpt":"marzipan",',
    '{"pro\\u006dpt":"marzipan"}',
    '{"prompt":"marzipan","prompt":1}',
    '{"x":"{\\"prompt\\":\\"marzipan\\"}"}',
    '{"x":"{\\"prompt\\":\\"marzipan',
    "{\"x\":\"[{'text': 'marzipan'}]\"}",
    '{"attributes":[{"key":"gen_ai.prompt","value":{"stringValue":"marzipan"}}]}',
    '{"attributes":[{"key":"gen_ai.prompt","value":{"stringValue":"marzipan"}}',
    '{"actor_id":"marzipan@home"}',
    '{"note":"from marzipan@example.com"}',
    "hello marzipan@example.com",
    "hello marzipan%40example.com",
    '{"marzipan@example.com":1}',
    '[{"deep":[{"input":"marzipan"}]}] trailing',
    '{"prompt":\n\t "marzipan\\" marzipan"}}',
    '"prompt": "marzipan"',
    '{"messages":[1,"]}, marzipan',
    '{"messages":[{"a":"he said "hi], marzipan","b":1}],"x":bad}',
    '{"a":1}\n{"prompt":"marzipan"}',
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("text", PAYLOADS)
def test_no_content_lands_in_a_dead_letter_however_broken_its_payload(text: str, encoding: str) -> None:
    scrubbed, counts = scrub_payload(text.encode(encoding))
    assert SECRET not in scrubbed.replace(b"\0", b"").decode("utf-8", "replace")
    assert counts or "prompt" in text
    assert scrub_payload(scrubbed) == (scrubbed, {})


def test_a_payload_without_anything_denied_stays_byte_for_byte() -> None:
    for payload in (b"", b"not json", b'{ "a" : 1.50 }', b'{"a":"\xff', b"\x00\x01\x02", b"[" * 5000, b'{"a":[1,2'):
        assert scrub_payload(payload) == (payload, {})


def test_what_follows_the_denied_value_of_a_truncated_payload_is_kept_where_its_end_is_certain() -> None:
    scrubbed, _ = scrub_payload(b'{"prompt":{"a":["}"]},"model":"x","latency_ms":1')
    assert scrubbed == b'{"prompt":"[dropped]","model":"x","latency_ms":1'


def test_scrubbing_takes_linear_time_on_payloads_made_to_be_slow() -> None:
    # Counted in work, not seconds: each of these took minutes when a pattern could go back over what it had read.
    units = (
        b"""prompt: " "prompt \\ a@ a. prompt:[ prompt:" user:, @a. {' actor_id:" 'actor_id':{" prompt=1, a:[
        actor_id:'@',"""
    ).split()
    for unit in (*units, b" "):
        for end in (b"", b"@"):
            scrubbed, _ = scrub_payload(unit * (200_000 // len(unit)) + end)
            assert len(scrubbed) <= 1_000_000


FRAGMENTS = st.sampled_from(
    ["{", "}", "[", "]", '"', "'", ":", ",", "=", "\\", " ", "\n", "prompt", '"prompt":', '"user_id":', "content",
    "key",
     "value", '"key":"prompt","value":', "a", "1", "null", "x@y.zz", "%40", "\0", "[dropped]", '"[dropped]"', "\\u0070",
     '{"a":', '\\"', "é"]
)  # fmt: skip


@unhurried
@given(st.lists(FRAGMENTS, max_size=25).map("".join) | st.text(max_size=40))
def test_scrubbing_any_text_twice_is_scrubbing_it_once(text: str) -> None:
    once, _ = scrub_payload(text.encode("utf-8", "surrogatepass"))
    assert scrub_payload(once) == (once, {})


@unhurried
@given(st.binary(max_size=80))
def test_scrubbing_any_bytes_never_raises_and_is_idempotent(payload: bytes) -> None:
    once, _ = scrub_payload(payload)
    assert scrub_payload(once)[0] == once


KEYS = st.sampled_from(["prompt", "userId", "messages", "gen_ai.input.messages", "a", "region"])
TREES = st.recursive(
    st.just(SECRET) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)


@unhurried
@given(TREES, st.sampled_from(["prompt", "user_id", "content", "gen_ai.output.messages"]), st.data())
def test_content_stays_out_wherever_a_message_is_cut(tree: object, name: str, data: st.DataObject) -> None:
    text = json.dumps({"event_type": "llm_call", "context": {"region": "eu", name: [SECRET, tree]}, "model": "m"})
    cut = data.draw(st.integers(0, len(text)))
    assert SECRET not in scrub_payload(text[:cut].encode())[0].decode()
    colon = text.index(":", text.index(name))
    inside = data.draw(st.integers(colon + 1, len(text)))
    garbled = text[:inside] + data.draw(st.sampled_from(["}", "]", '"', ",", "{", "\\"])) + text[inside:]
    assert SECRET not in scrub_payload(garbled.encode())[0].decode()
