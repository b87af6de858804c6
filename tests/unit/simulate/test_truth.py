"""The truth is what anybody finds who reads the messages: counted again here from their text, by other means."""

from collections import Counter, defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import cast

from ingest.simulate.flaws import FLAWS
from tests.unit.simulate.reading import Played

TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
Row = dict[str, object]


def test_the_counts_of_messages_are_those_handed_out(played: Played) -> None:
    truth = played.simulation.truth.as_object()
    kinds = Counter(message.kind.partition(":")[0] for message in played.messages)
    assert truth["messages"] == len(played.messages)
    assert {"events": kinds["valid"], "duplicates": kinds["duplicate"], "corrections": kinds["correction"]} == {
        name: truth[name] for name in ("events", "duplicates", "corrections")
    }
    assert truth["malformed"] == kinds["malformed"] == sum(cast("dict[str, int]", truth["malformed_by_class"]).values())
    assert min(kinds.values()) > 100


def test_as_many_distinct_valid_events_as_asked_for(played: Played) -> None:
    assert len(played.events) == played.simulation.config.events
    firsts = [message.event_id for message in played.messages if message.expected == "landed"]
    assert len(firsts) == len(set(firsts)) == played.simulation.config.events
    assert set(firsts) == set(played.events)


def test_outcomes_are_those_of_the_last_copies(played: Played) -> None:
    counted = Counter(
        (event.word("workspace_id"), event.word("event_type"), event.word("status")) for event in played.events.values()
    )
    rows = cast("list[Row]", played.simulation.truth.as_object()["by_workspace_type_status"])
    told = {(row["workspace_id"], row["event_type"], row["status"]): row["events"] for row in rows}
    assert told == counted


def test_tokens_and_money_of_each_workspace_and_day_are_exact(played: Played) -> None:
    sums: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    money: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    for event in played.events.values():
        day = datetime.fromtimestamp(event.at_ms / 1000, UTC).date().isoformat()
        workspace, kind, cost = event.word("workspace_id"), event.word("event_type"), event.money("cost_usd")
        cell = sums[workspace, day]
        cell["events"] += 1
        if kind == "llm_call":
            cell["llm_calls"] += 1
            for name in TOKENS:
                cell[name] += event.number(name) or 0
        cell["tool_calls"] += kind == "tool_call"
        if cost is not None:
            is_roll_up = kind == "agent_run_finished"
            money[workspace, day, "rolled_up_cost_usd" if is_roll_up else "reported_cost_usd"] += cost
            cell["calls_with_cost"] += not is_roll_up
    rows = cast("list[Row]", played.simulation.truth.as_object()["by_workspace_day"])
    assert {(row["workspace_id"], row["day"]) for row in rows} == set(sums)
    for row in rows:
        where = cast("str", row["workspace_id"]), cast("str", row["day"])
        for name in ("events", "llm_calls", "tool_calls", "calls_with_cost", *TOKENS):
            assert row[name] == sums[where][name], (where, name)
        for name in ("reported_cost_usd", "rolled_up_cost_usd"):
            assert Decimal(cast("str", row[name])) == money[*where, name], (where, name)
    assert sum(money.values()) > 1


def test_every_flaw_comes_up_and_is_counted(played: Played) -> None:
    truth = played.simulation.truth.as_object()
    malformed = Counter(
        message.kind.partition(":")[2] for message in played.messages if message.expected == "dead_letter"
    )
    assert truth["malformed_by_flaw"] == malformed
    curious = Counter(
        message.kind.partition(":")[2]
        for message in played.messages
        if message.expected == "landed" and ":" in message.kind
    )
    assert truth["curiosities"] == curious
    assert set(malformed) | set(curious) == {flaw.name for flaw in FLAWS[1:]}
