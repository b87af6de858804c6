"""Each fault is what it claims to be."""

from collections import defaultdict

import msgspec

from ingest.simulate import Message
from ingest.simulate.flaws import CURIOSITIES
from tests.unit.simulate.reading import Played, read_event


def of_kind(played: Played, kind: str) -> list[Message]:
    return [message for message in played.messages if message.kind == kind or message.kind.startswith(f"{kind}:")]


def test_rates_are_about_those_asked_for(played: Played) -> None:
    events = played.simulation.config.events
    assert abs(len(of_kind(played, "duplicate")) / events - 0.02) < 0.004
    assert abs(len(of_kind(played, "malformed")) / events - 0.02) < 0.004
    assert 0.006 < len(of_kind(played, "correction")) / events < 0.02


def test_a_duplicate_is_its_event_to_the_byte_and_comes_after_it(played: Played) -> None:
    seen: dict[str, bytes] = {}
    for message in played.messages:
        if message.kind.startswith("valid"):
            seen[message.event_id] = message.value
        if message.kind.startswith("duplicate"):
            assert seen[message.event_id] == message.value


def test_a_correction_has_the_id_of_an_earlier_event_and_says_something_else(played: Played) -> None:
    seen: dict[str, bytes] = {}
    changed: dict[str, int] = defaultdict(int)
    for message in played.messages:
        if message.kind == "correction":
            before, after = read_event(seen[message.event_id]), read_event(message.value)
            assert before.event_id == after.event_id
            for name in ("occurred_at", "status", "output_tokens", "cost_usd"):
                changed[name] += before.text.get(name) != after.text.get(name)
            assert before.text["workspace_id"] == after.text["workspace_id"]
        elif message.expected == "landed":
            seen[message.event_id] = message.value
    assert min(changed[name] for name in ("occurred_at", "status", "output_tokens", "cost_usd")) > 10


def test_a_correction_is_the_last_copy_of_its_event(played: Played) -> None:
    last = {message.event_id: message.kind for message in played.messages}
    corrected = [message.event_id for message in of_kind(played, "correction")]
    assert all(last[event_id] == "correction" for event_id in corrected)


def test_messages_come_out_of_order_and_some_days_late_but_all_come(played: Played) -> None:
    newest, out_of_order, late_hours = 0, 0, 0
    for message in of_kind(played, "valid"):
        out_of_order += message.occurred_at_ms < newest
        late_hours += message.occurred_at_ms < newest - 3_600_000
        newest = max(newest, message.occurred_at_ms)
    assert out_of_order > 1000
    assert late_hours > 100


def test_a_malformed_message_never_shares_an_id_with_an_event_and_keeps_its_workspaces_key(played: Played) -> None:
    malformed = of_kind(played, "malformed")
    assert not {message.event_id for message in malformed} & set(played.events)
    names = {workspace.name.encode() for workspace in played.simulation.world.workspaces}
    assert {message.key for message in played.messages} <= names


def test_content_and_identifiers_are_placeholders_and_only_where_they_are_meant_to_be(played: Played) -> None:
    personal = {"prompt", "completion", "messages", "email", "phone", "ip"}
    for message in of_kind(played, "valid"):
        if ":" not in message.kind:
            text = msgspec.json.decode(message.value, type=dict[str, object])
            assert not personal & set(text)
            assert b"@" not in message.value
        elif message.kind.rpartition(":")[2].startswith("content"):
            assert b"PLACEHOLDER" in message.value
        elif message.kind.endswith(("identifiers", "raw_actor", "address_in_text")):
            assert b"@example.invalid" in message.value


def test_a_message_is_one_line_whatever_is_wrong_with_it(played: Played) -> None:
    assert not [message.kind for message in played.messages if b"\n" in message.value or not message.value]


def test_every_curiosity_is_json_with_the_events_own_id(played: Played) -> None:
    seen = set()
    for message in of_kind(played, "valid"):
        if ":" in message.kind:
            seen.add(message.kind.rpartition(":")[2])
            assert read_event(message.value).event_id == message.event_id
    assert seen == {flaw.name for flaw in CURIOSITIES}
