"""What the column pattern must notice: one context for every reason why scrubbing would change something."""

import polars as pl
import pytest

from ingest.contracts.denial import SUSPICIOUS_CONTEXT, SUSPICIOUS_STRING, mask_emails, suspicious, suspicious_context
from ingest.contracts.privacy import DECODER, scrub_value
from tests.unit.contracts.test_privacy import ALL_RULES, HARMLESS

CHANGED = [
    '{"pro\\u006dpt":"x"}',
    '{"a":"x\\u0040y.example"}',
    '{"a":"x@y.example"}',
    '{"a":"x%40y.example"}',
    '{"x%40y.example":1}',
    '{"a":"{prompt: x}"}',
    "{\"a\":\"  [{'prompt': 'x'}]\"}",
    '{"attributes":[{"key":"gen_ai.prompt","value":"x"}]}',
    '{"attribute":"user.id","value":1}',
    '{"gen_ai.prompt.0.anything":"x"}',
    '{"http.request.header.x-tenant":"x"}',
    '{"user\u017fid":"x"}',
    '{"user\u212aid":"x"}',
    '{"my user id":"x"}',
    '{"MyPrompt7":"x"}',
    '{"a":{"b":[{"name":"x"}]}}',
]


@pytest.mark.parametrize("text", CHANGED)
def test_every_reason_to_change_a_context_is_noticed(text: str) -> None:
    counts: dict[str, int] = {}
    value = DECODER.decode(text)
    assert scrub_value(value, counts) != value
    assert counts
    assert suspicious(text.encode())
    assert pl.Series([text]).str.contains(SUSPICIOUS_CONTEXT).item()


@pytest.mark.parametrize("rule", ALL_RULES)
def test_every_rule_is_noticed_in_every_spelling(rule: str) -> None:
    spellings = {rule.replace("_", glue) for glue in ("_", ".", "-", "", " ", ".0.", "\u017f")}
    keys = [key for one in spellings for key in (one, one.upper(), one.title(), f"{one} 2", f"my.{one}", f"{one}_x")]
    texts = [f'{{"{key}":"x"}}' for key in keys]
    found = dict(zip(texts, pl.Series(texts).str.contains(SUSPICIOUS_CONTEXT).to_list(), strict=True))
    unchanged = {text for text in texts if scrub_value(DECODER.decode(text), {}) == DECODER.decode(text)}
    assert [text for text in texts if not found[text] and text not in unchanged] == []
    assert found[f'{{"{rule}":"x"}}']


@pytest.mark.parametrize("depth", [1, 3, 4])
def test_nesting_beyond_the_limit_is_noticed_and_up_to_it_is_not(depth: int) -> None:
    for left, right in (('{"a":', "}"), ("[", "]")):
        fits, deeper = ('{"b":' + left * levels + "1" + right * levels + "}" for levels in (depth - 1, depth))
        found = pl.Series([fits, deeper]).str.contains(suspicious_context(depth)).to_list()
        assert found == [False, True]


def test_ordinary_contexts_raise_no_suspicion_or_the_fast_path_would_be_slow() -> None:
    ordinary = ['{"region":"eu-west-1","sdk":"1.2.3","attempt":1}', "{}", '{"tags":["a","b"],"flags":{"beta":true}}']
    assert not suspicious(b"\0".join(text.encode() for text in ordinary))
    known_false_alarms = {"llm.token_count.prompt", "tokens.output", "cost_input", "ship", "tip", "server.address"}
    noticed = {name for name in HARMLESS if suspicious(f'{{"{name}":"x"}}'.encode())}
    assert noticed <= known_false_alarms | {"gen_ai.prompt.version"}


ADDRESSES = ["a@b.example", "see A@b.co, ok", "x%40y.org", "https://u:p@host.example/x", "é@ü.example"]


@pytest.mark.parametrize("text", ADDRESSES)
def test_a_string_with_an_address_is_noticed_and_masked(text: str) -> None:
    assert "[email]" in mask_emails(text, {})
    assert pl.Series([text]).str.contains(SUSPICIOUS_STRING).item()


@pytest.mark.parametrize("text", ["claude-3-5-sonnet@20240620", "@scope/tool", "a @ b.c", "50%"])
def test_a_model_with_a_dated_version_is_no_address(text: str) -> None:
    assert mask_emails(text, {}) == text
    assert not pl.Series([text]).str.contains(SUSPICIOUS_STRING).item()
