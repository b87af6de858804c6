"""What the simulator says it produced against what the warehouse says it holds.

Nothing here asks the loader's own counters alone: rows are counted in the tables, and the ledger is held against the
broker. Each Check carries both numbers; one that is not equal fails the demo.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

from clickhouse_connect.driver.client import Client

from ingest.embedded.report import Report
from ingest.settings import Settings

Cell = tuple[str, str, str]  # workspace_id, event_type, status
Key = TypeVar("Key")
Number = TypeVar("Number", int, Decimal)
COST_EVENTS = ("llm_call", "tool_call")


@dataclass(frozen=True)
class Check:
    """One claim. `expected` and `found` are what a person reads when they differ."""

    claim: str
    expected: str
    found: str

    @property
    def is_met(self) -> bool:
        return self.expected == self.found


@dataclass(frozen=True)
class Produced:
    """What was sent, from the simulator's truth."""

    messages: int
    events: int
    copies: int
    refused: Mapping[str, int]
    outcomes: Mapping[Cell, int]
    costs: Mapping[str, Decimal]

    @classmethod
    def from_truth(cls, truth: Mapping[str, object]) -> "Produced":
        """Reads `Truth.as_object()`."""
        costs: dict[str, Decimal] = {}
        for day in _rows(truth["by_workspace_day"]):
            workspace = str(day["workspace_id"])
            costs[workspace] = costs.get(workspace, Decimal(0)) + Decimal(str(day["reported_cost_usd"]))
        outcomes = {
            (str(row["workspace_id"]), str(row["event_type"]), str(row["status"])): int(str(row["events"]))
            for row in _rows(truth["by_workspace_type_status"])
        }
        refused = truth["malformed_by_class"]
        assert isinstance(refused, dict)
        return cls(
            messages=int(str(truth["messages"])),
            events=int(str(truth["events"])),
            copies=int(str(truth["duplicates"])) + int(str(truth["corrections"])),
            refused=refused,
            outcomes=outcomes,
            costs=costs,
        )


@dataclass(frozen=True)
class Landed:
    """What is in the warehouse. `outcomes`, `costs` and `calls` are of the last copy of every event."""

    rows: int
    events: int
    ledger_messages: int
    ledger_landed: int
    ledger_lost: int
    refused: Mapping[str, int] = field(default_factory=dict)
    outcomes: Mapping[Cell, int] = field(default_factory=dict)
    costs: Mapping[str, Decimal] = field(default_factory=dict)
    calls: Mapping[str, int] = field(default_factory=dict)


def read_landed(client: Client, settings: Settings, topic: str) -> Landed:
    """Counts in the tables themselves, of what came by this topic."""
    raw, ops = settings.database("raw"), settings.database("ops")
    rows, events = client.query(
        f"select count(), uniqExact(workspace_id, event_id) from `{raw}`.agent_events"  # noqa: S608  # checked names
    ).result_rows[0]
    messages, landed, lost = client.query(
        f"select sum(messages), sum(landed), sum(lost) from `{ops}`.load_batches final where topic = {{topic:String}}",  # noqa: S608  # as above
        parameters={"topic": topic},
    ).result_rows[0]
    refused = client.query(
        f"select error_class, count() from `{raw}`.dead_letters final where _topic = {{topic:String}} "  # noqa: S608  # as above
        "group by error_class",
        parameters={"topic": topic},
    ).result_rows
    cells = client.query(
        f"""
        with last_copies as (
            select workspace_id, event_type, status, cost_usd from `{raw}`.agent_events
            order by _version desc limit 1 by workspace_id, event_id
        )
        select workspace_id, event_type, status, count(), sum(cost_usd) from last_copies group by all
        """  # noqa: S608  # as above
    ).result_rows
    costs: dict[str, Decimal] = {}
    calls: Counter[str] = Counter()
    for workspace, event_type, _, count, cost in cells:
        if event_type in COST_EVENTS:
            calls[workspace] += count
            costs[workspace] = costs.get(workspace, Decimal(0)) + (cost or Decimal(0))
    return Landed(
        rows=rows,
        events=events,
        ledger_messages=messages,
        ledger_landed=landed,
        ledger_lost=lost,
        refused={row[0]: row[1] for row in refused},
        outcomes={(cell[0], cell[1], cell[2]): cell[3] for cell in cells},
        costs=costs,
        calls=calls,
    )


def compare(produced: Produced, landed: Landed, status: Report, topic: str) -> list[Check]:
    """Every claim of the demo, met or not."""
    line = next((one for one in status.topics if one.topic == topic), None)
    dead_letters = sum(landed.refused.values())
    accepted = produced.messages - sum(produced.refused.values())
    return [
        Check("the broker has every message produced", _n(produced.messages), _n(line.messages if line else None)),
        Check("the ledger covers every message", _n(produced.messages), _n(landed.ledger_messages)),
        Check("landed + dead letters = produced", _n(produced.messages), _n(landed.ledger_landed + dead_letters)),
        Check("copies included, every valid message landed", _n(accepted), _n(landed.ledger_landed)),
        Check("each event is in, and none that was not sent", _n(produced.events), _n(landed.events)),
        _same("refused as predicted, by class", produced.refused, landed.refused),
        _same("events by workspace, kind and status", produced.outcomes, landed.outcomes),
        _same("reported cost by workspace, to the 12th decimal", _nonzero(produced.costs), _nonzero(landed.costs)),
        Check("nothing is left behind", _n(0), _n(line.lag if line else None)),
        Check("nothing was lost before it could be read", _n(0), _n(landed.ledger_lost)),
    ]


def _same(claim: str, expected: Mapping[Key, Number], found: Mapping[Key, Number]) -> Check:
    """Says how many values agree, and the first that does not."""
    total = f"{len(expected)} of {len(expected)} values"
    for key in sorted({*expected, *found}, key=str):
        if expected.get(key) != found.get(key):
            return Check(claim, f"{_key(key)}: {expected.get(key, 'none')}", f"{_key(key)}: {found.get(key, 'none')}")
    return Check(claim, total, total)


def _key(key: object) -> str:
    return " ".join(map(str, key)) if isinstance(key, tuple) else str(key)


def _nonzero(costs: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {workspace: cost for workspace, cost in costs.items() if cost}


def _n(count: int | None) -> str:
    return "not known" if count is None else f"{count:,}"


def _rows(value: object) -> list[dict[str, object]]:
    assert isinstance(value, list)
    return value
