"""What becomes of a batch: canonical events, older spellings, refusals by index; and that both paths agree."""

import asyncio
import json
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.api.aliases import Rewriter
from ingest.api.batches import split
from ingest.api.credential import Credential
from ingest.api.judging import Judge, Judged
from ingest.api.refusal import Refusal
from ingest.contracts.outcome import Accepted, EventLimits
from ingest.contracts.pseudonyms import IdentityKey, Pseudonyms
from tests.unit.contracts.events import EVENT_ID, NOW_MS, event, judged
from tests.unit.contracts.test_judge_properties import EVENTS

LIMITS = EventLimits()
NAMES = Pseudonyms([IdentityKey("k7", b"s" * 32)])
ACME = Credential("k1", "harbor-logistics")
JUDGE = Judge(LIMITS, Rewriter(NAMES))


def judge_body(body: bytes, media_type: str = "application/json", credential: Credential = ACME) -> Judged:
    events = split(body, media_type, credential.workspace_id, 1000)
    return asyncio.run(JUDGE.judge(body, events, credential, NOW_MS))


def judge_events(*events: object, credential: Credential = ACME) -> Judged:
    return judge_body(json.dumps(events).encode(), credential=credential)


def sent(*events: object, credential: Credential = ACME) -> list[dict[str, object]]:
    return [json.loads(message) for message in judge_events(*events, credential=credential).messages]


def reasons(done: Judged) -> list[tuple[int, str]]:
    return [(one.index, one.error_class) for one in done.refused]


@given(st.lists(EVENTS, min_size=1, max_size=3))
@settings(deadline=None, max_examples=150)
def test_what_leaves_the_door_is_what_the_loader_accepts_with_nothing_left_to_remove(
    events: Sequence[Mapping[str, object]],
) -> None:
    done = judge_body(json.dumps(events).encode())
    assert len(done.messages) + len(done.refused) == len(events)
    for message in done.messages:
        verdict = judged(message)
        assert isinstance(verdict, Accepted), (verdict, message)
        assert not verdict.dropped


@given(st.lists(EVENTS, min_size=1, max_size=2), st.sampled_from(["application/json", "application/x-ndjson"]))
@settings(deadline=None, max_examples=60)
def test_the_door_takes_every_event_that_the_contract_takes(
    events: Sequence[Mapping[str, object]], media_type: str
) -> None:
    lines = [json.dumps(one).encode() for one in events]
    body = b"\n".join(lines) if media_type.endswith("ndjson") else b"[" + b",".join(lines) + b"]"
    refused = {one.index for one in judge_body(body, media_type).refused}
    for index, line in enumerate(lines):
        if index in refused:
            assert not isinstance(judged(line), Accepted)


def test_the_spellings_of_older_emitters_are_rewritten() -> None:
    old = {
        "event_id": EVENT_ID, "type": "token_usage", "ts": NOW_MS / 1000, "app": "billing-bot", "env": "prod",
        "user_id": "bob", "tokens_prompt": 12, "tokens_completion": 5, "success": False,
    }  # fmt: skip
    done = judge_events(old)
    (message,) = (json.loads(one) for one in done.messages)
    assert message == {
        "event_id": EVENT_ID, "event_type": "llm_call", "occurred_at": NOW_MS, "service": "billing-bot",
        "environment": "prod", "actor_id": NAMES.actor(ACME.workspace_id, "bob"), "input_tokens": 12,
        "output_tokens": 5, "status": "error", "workspace_id": ACME.workspace_id,
    }  # fmt: skip
    assert set(done.aliases) == {
        "type",
        "ts",
        "app",
        "env",
        "tokens_prompt",
        "tokens_completion",
        "success",
        "token_usage",
    }
    assert done.dropped == {"user_id": 1}
    assert sent(event(event_type="run_started"), event(event_type="run_finished"))[1]["event_type"] == (
        "agent_run_finished"
    )


@pytest.mark.parametrize(
    ("ts", "expected"),
    [
        (NOW_MS, NOW_MS),
        (NOW_MS // 1000, NOW_MS // 1000 * 1000),
        (NOW_MS / 1000 + 0.25, NOW_MS + 250),
        ("2026-11-23T09:30:00+00:00", "2026-11-23T09:30:00+00:00"),
    ],
)
def test_an_older_time_is_milliseconds_or_seconds_by_its_size(ts: object, expected: object) -> None:
    old = {key: value for key, value in event().items() if key != "occurred_at"} | {"ts": ts}
    assert sent(old)[0]["occurred_at"] == expected


def test_identifiers_are_hashed_and_content_goes_wherever_it_stands() -> None:
    rich = event(
        prompt="planted words", completion="planted words", email="planted@example.org", agent="of planted@example.org",
        session_id="planted@example.org",
        context={
            "userId": 17, "messages": ["planted words"], "note": "planted@example.org", "blob": '{"prompt":"planted"}',
        },
    )  # fmt: skip
    done = judge_events(rich)
    (message,) = done.messages
    assert b"planted" not in message
    read = json.loads(message)
    assert read["actor_id"] == NAMES.actor(ACME.workspace_id, "17")
    assert read["prompt_hash"] == NAMES.prompt(ACME.workspace_id, "planted words")
    assert read["session_id"] == NAMES.actor(ACME.workspace_id, "planted@example.org")
    assert done.dropped.keys() >= {"prompt", "completion", "email", "user_id", "messages", "session_id"}


def test_an_answer_is_no_prompt() -> None:
    assert "prompt_hash" not in sent(event(output_messages=["planted words"]))[0]


def test_a_hidden_second_context_is_not_kept() -> None:
    raw = json.dumps(event()).encode()[:-1] + b',"context":{"prompt":"planted"},"context":{"a":1}}'
    (message,) = judge_body(b"[" + raw + b"]").messages
    assert b"planted" not in message


def test_the_credential_decides_workspace_and_environment() -> None:
    bare = {key: value for key, value in event().items() if key != "workspace_id"}
    fixed = Credential("k", "acme", ("production",))
    assert sent(bare, credential=fixed)[0].items() >= {"workspace_id": "acme", "environment": "production"}.items()
    done = judge_events(
        {**bare, "workspace_id": "other"}, {**bare, "tenant_id": "other"}, {**bare, "environment": "dev"}, bare,
        credential=fixed,
    )  # fmt: skip
    assert reasons(done) == [(0, "wrong_workspace"), (1, "wrong_workspace"), (2, "wrong_environment")]
    assert len(done.messages) == 1
    with pytest.raises(Refusal, match="another workspace"):
        judge_body(json.dumps({"workspace_id": "other", "events": [bare]}).encode(), credential=fixed)


def test_each_refused_event_has_its_index_and_reason_and_the_rest_passes() -> None:
    done = judge_events(event(), event(input_tokens=-1), 5, event(event_type="x"), event(occurred_at=0), event())
    assert len(done.messages) == 2
    assert reasons(done) == [
        (1, "out_of_range"), (2, "not_an_object"), (3, "unknown_event_type"), (4, "outside_time_window"),
    ]  # fmt: skip


def test_a_broken_line_costs_its_own_event_only() -> None:
    good = json.dumps(event()).encode()
    done = judge_body(good + b"\n{broken\n\n" + good + b"\n", "application/x-ndjson")
    assert (len(done.messages), reasons(done)) == (2, [(1, "malformed_json")])


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"null", "application/json", 400),
        (b'{"events": 5}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"events":[' + b'{"a":' * 50_000, "application/json", 400),
        (b"\xff\xfe[]", "application/json", 400),
        (b"[" + b"{}," * 1000 + b"{}]", "application/json", 413),
        (b"[" + b"1," * 1_000_000 + b"1]", "application/json", 413),
        (b"[" + b"[]," * 500_000 + b"[]]", "application/json", 413),
        (b"{}\n" * 5_000, "application/x-ndjson", 413),
        (b"a=b", "application/x-www-form-urlencoded", 415),
    ],
)
def test_bodies_that_are_no_batch_are_refused_whole(body: bytes, media_type: str, status: int) -> None:
    with pytest.raises(Refusal) as caught:
        split(body, media_type, "acme", 1000)
    assert caught.value.status == status


def test_a_context_without_end_costs_its_line_or_its_array() -> None:
    deep = b'{"a":' * 3000 + b"1" + b"}" * 3000
    raw = json.dumps(event()).encode()[:-1] + b',"context":' + deep + b"}"
    done = judge_body(raw + b"\n" + json.dumps(event()).encode(), "application/x-ndjson")
    assert (len(done.messages), reasons(done)) == (1, [(0, "too_deep")])
    with pytest.raises(Refusal, match="nests too deep"):
        judge_body(b"[" + raw + b"]")
