"""For any bytes: judge() answers, and never disagrees with the fast path."""

import json
import re

import polars as pl
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ingest.contracts.check import Accepted, EventLimits, Refused
from ingest.contracts.denial import SUSPICIOUS_CONTEXT, suspicious, suspicious_context
from ingest.contracts.denied_names import CONTENT_ENDINGS, CONTENT_FAMILIES, IDENTIFIER_NAMES, SECRET_ENDINGS
from ingest.contracts.fields import FIELD_NAMES
from ingest.contracts.outcome import ERROR_CLASSES
from ingest.contracts.privacy import DECODER, scrub_value
from tests.unit.contracts.events import NOW_MS, event, fast_path, judged

# Building such events takes Hypothesis longer than judging them, and this machine may be busy.
unhurried = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])

WORDS = [*CONTENT_ENDINGS, *CONTENT_FAMILIES, *IDENTIFIER_NAMES, *SECRET_ENDINGS]
SEPARATORS = st.sampled_from(["_", ".", "-", "", " ", ".0.", "\u017f", "/", "é"])
NAMES = st.one_of(
    st.sampled_from([*FIELD_NAMES, "region", "prompt_hash", "model_name", "key", "value", "_unknown"]),
    st.builds(
        lambda word, glue, before, after, change: before + change(word.replace("_", glue)) + after,
        st.sampled_from(WORDS), SEPARATORS, st.sampled_from(["", "gen_ai.", "my", "my_"]), st.sampled_from(["",
        "_hash", "2", "s "]), st.sampled_from([str, str.upper, str.title]),
    ),
    st.text(max_size=6),
)  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["", "a@b.example", "x%40y.org", "claude@20240620", '{"prompt":"x"}', "[{'text': 1", "1.5", "-1", "1e-7", "{"]
    ),
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 10**13), st.floats(allow_nan=False, allow_infinity=False), TEXTS
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
CONTEXTS = st.dictionaries(NAMES, VALUES, max_size=4)
FLAT_CONTEXTS = st.dictionaries(NAMES, TEXTS | st.integers(0, 9), min_size=1, max_size=2)
TIMES = st.one_of(
    st.integers(NOW_MS - 10**10, NOW_MS + 10**7),
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    st.sampled_from(
        ["2026-11-23T09:30:00Z", "2026-11-23 09:30:00.123456+02:00", "2026-02-30T00:00:00Z", "2026-11-23T09:30:00Z\n"]
    ),
)
OPTIONAL = st.fixed_dictionaries(
    {},
    optional={
        "input_tokens": st.integers(0, 9),
        "cache_read_tokens": st.integers(0, 9),
        "latency_ms": st.floats(-1, 10**9),
        "cost_usd": TEXTS | st.floats(0, 10),
        "model": TEXTS,
        "session_id": TEXTS,
        "status": st.sampled_from(["ok", "", None]),
    },
)
EVENTS = st.builds(
    lambda base, odd, context, time: event(**base, **({} if context is None else {"context": context}),
    occurred_at=time) | odd,
    OPTIONAL,
    st.dictionaries(NAMES, VALUES, max_size=2), st.none() | CONTEXTS, TIMES,
)  # fmt: skip
ENCODED = st.builds(
    lambda value, ascii_only, spaced: json.dumps(
        value, ensure_ascii=ascii_only, separators=(", ", ": ") if spaced else (",", ":")
    ).encode("utf-8", "surrogatepass"),
    EVENTS, st.booleans(), st.booleans(),
)  # fmt: skip


DEBRIS = st.binary(max_size=3) | st.sampled_from([b'"', b"{", b"\\u", b",", b"}"])


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    message = bytearray(draw(ENCODED))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(message)))
        message[at : at + draw(st.integers(0, 5))] = draw(
            st.binary(max_size=3) | st.sampled_from([b'"', b"{", b"\\u", b",", b"}"])
        )
    return bytes(message)


def _check(message: bytes, limits: EventLimits) -> None:
    verdict = judged(message, limits)
    fast = fast_path(message, limits)
    if isinstance(verdict, Refused):
        assert verdict.error_class in ERROR_CLASSES
        assert fast is None, "the fast path would land what the careful path refuses"
    elif fast is not None:
        assert fast == verdict.event
        assert bytes(fast.context) == bytes(verdict.event.context)
        assert not verdict.dropped
        assert not verdict.unknown


@unhurried
@given(st.binary(max_size=200) | mutated())
def test_any_bytes_get_a_verdict_and_both_paths_agree(message: bytes) -> None:
    _check(message, EventLimits())


@unhurried
@given(ENCODED)
@example(json.dumps(event(context={"usage": {"input": 1}})).encode())
def test_any_event_lands_the_same_by_both_paths(message: bytes) -> None:
    _check(message, EventLimits())


@unhurried
@given(ENCODED)
def test_tight_limits_hold_in_both_paths_and_what_lands_is_within_them(message: bytes) -> None:
    limits = EventLimits(context_depth=2, context_bytes=40, unknown_bytes=30, unknown_fields=1, max_event_bytes=600)
    _check(message, limits)
    verdict = judged(message, limits)
    if isinstance(verdict, Accepted):
        assert len(bytes(verdict.event.context)) <= limits.context_bytes + limits.unknown_bytes + 20


@unhurried
@given(CONTEXTS | FLAT_CONTEXTS, st.booleans(), st.integers(1, 5))
def test_a_context_that_is_not_suspicious_is_one_that_scrubbing_leaves_alone(
    context: dict[str, object], ascii_only: bool, depth: int
) -> None:
    text = json.dumps(context, ensure_ascii=ascii_only)
    pattern = suspicious_context(depth)
    counts: dict[str, int] = {}
    value = DECODER.decode(text)
    changes = scrub_value(value, counts) != value or bool(counts) or _depth(context) > depth
    assert bool(re.search(pattern, text)) or not changes
    assert bool(re.search(pattern.encode(), text.encode())) or not changes
    if depth == 4:
        assert suspicious(b"{}\0" + text.encode()) or not changes


def _depth(value: object) -> int:
    if isinstance(value, dict | list):
        return 1 + max(map(_depth, value.values() if isinstance(value, dict) else value), default=0)
    return 0


@unhurried
@given(st.lists(FLAT_CONTEXTS, min_size=1, max_size=4), st.booleans())
def test_the_pattern_for_suspicious_contexts_means_the_same_in_polars(
    contexts: list[dict[str, object]], ascii_only: bool
) -> None:
    texts = [json.dumps(context, ensure_ascii=ascii_only, separators=(",", ":")) for context in contexts]
    in_polars = pl.Series(texts).str.contains(SUSPICIOUS_CONTEXT).to_list()
    for text, found in zip(texts, in_polars, strict=True):
        counts: dict[str, int] = {}
        value = DECODER.decode(text)
        assert found or (scrub_value(value, counts) == value and not counts), text
