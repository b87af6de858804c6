"""The truth about a simulation, counted from the rows as they are handed out, never from their text.

Sums are over distinct valid events with the last copy winning, as DESIGN.md defines it; calls' tokens and money stand
apart from what runs report as roll-up. Days are UTC days of occurred_at; money is exact, in USD with 12 places.
"""

from collections import Counter
from dataclasses import asdict
from decimal import Decimal

import numpy as np

from ingest.simulate import faults
from ingest.simulate.catalogue import EVENT_TYPES, SPELLINGS, STATUSES
from ingest.simulate.config import DAY_MS, HOUR_MS, MINUTE_MS, time_text
from ingest.simulate.draws import Bools, Ints
from ingest.simulate.flaws import FLAWS
from ingest.simulate.incidents import Incident
from ingest.simulate.rows import Rows
from ingest.simulate.world import World

_LLM, _TOOL, _FINISHED = (EVENT_TYPES.index(name) for name in ("llm_call", "tool_call", "agent_run_finished"))
_FAILED = tuple(STATUSES.index(name) for name in ("error", "timeout"))
_SUMS = (
    "events", "llm_calls", "tool_calls", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
    "reasoning_tokens", "calls_with_cost", "reported_cost", "rolled_up_cost",
)  # fmt: skip
_MONEY = ("reported_cost", "rolled_up_cost")
PICO = Decimal(1).scaleb(-12)


class Truth:
    """Grows chunk by chunk; `as_object()` is what --truth writes."""

    def __init__(self, world: World, incidents: list[Incident]) -> None:
        self._world, self._incidents = world, incidents
        config = world.config
        self._first_day = config.start_ms // DAY_MS
        self._days = config.end_ms // DAY_MS - self._first_day + 1
        self.counts: Counter[str] = Counter()
        self._flaws: Counter[tuple[int, int]] = Counter()
        self._late: Counter[str] = Counter()
        self._outcomes = np.zeros((len(world.workspaces), len(EVENT_TYPES), len(STATUSES)), dtype=np.int64)
        # Python integers: a day's money in picodollars would outgrow 64 bits where companies are large.
        self._sums = {name: [0] * (len(world.workspaces) * self._days) for name in _SUMS}
        self._hits = [Counter[str]() for _ in incidents]
        self.messages = 0

    @property
    def events(self) -> int:
        """Distinct valid events handed out so far."""
        return self.counts["valid"]

    def add(self, rows: Rows) -> None:
        """Counts what was handed out."""
        self.messages += len(rows)
        for kind, count in enumerate(np.bincount(rows["kind"], minlength=len(faults.KINDS)).tolist()):
            self.counts[faults.KINDS[kind]] += count
        flawed = rows[rows["flaw"] > 0]
        self._flaws.update(zip(flawed["kind"].tolist(), flawed["flaw"].tolist(), strict=True))
        first = rows[faults.is_first(rows)]
        delay_ms = first["arrival_ms"] - first["at_ms"]
        for name, bound_ms in (("1_minute", MINUTE_MS), ("1_hour", HOUR_MS), ("1_day", DAY_MS)):
            self._late[name] += int(np.count_nonzero(delay_ms > bound_ms))
        self._count(first, 1)
        fixed = rows[rows["kind"] == faults.CORRECTION]
        if len(fixed):
            before = fixed.copy()
            for name in ("at_ms", "status", "output", "cost"):
                before[name] = fixed[f"was_{name}"]
            self._count(before, -1)
            self._count(fixed, 1)
        for incident, hits in zip(self._incidents, self._hits, strict=True):
            self._count_hits(incident, hits, first)

    def _count(self, rows: Rows, sign: int) -> None:
        workspace, kind = rows["workspace"].astype(np.int64), rows["event_type"]
        np.add.at(self._outcomes, (workspace, kind, rows["status"]), sign)
        cell = workspace * self._days + rows["at_ms"] // DAY_MS - self._first_day
        is_llm, is_tool = kind == _LLM, kind == _TOOL
        is_call = is_llm | is_tool
        has_cost = is_call & (rows["cost"] >= 0)
        ones = np.ones(len(rows), dtype=np.int64)
        measures: dict[str, tuple[Ints, Bools]] = {
            "events": (ones, np.ones(len(rows), dtype=np.bool_)),
            "llm_calls": (ones, is_llm),
            "tool_calls": (ones, is_tool),
            "calls_with_cost": (ones, has_cost),
            "reported_cost": (rows["cost"], has_cost),
            "rolled_up_cost": (rows["cost"], (kind == _FINISHED) & (rows["cost"] >= 0)),
        }
        for name in ("input", "output", "cache_read", "cache_write", "reasoning"):
            measures[f"{name}_tokens"] = rows[name], is_llm & (rows[name] >= 0)
        for name, (values, counted) in measures.items():
            sums = np.zeros(len(self._world.workspaces) * self._days, dtype=np.int64)
            np.add.at(sums, cell[counted], values[counted])
            total = self._sums[name]
            for index in np.flatnonzero(sums).tolist():
                total[index] += sign * int(sums[index])

    def _count_hits(self, incident: Incident, hits: Counter[str], rows: Rows) -> None:
        """What the incident touched, as the last valid copy's first version says: calls by their start."""
        begun_ms = rows["at_ms"] - np.maximum(rows["latency_us"], 0) // 1000
        inside = (begun_ms >= incident.start_ms) & (begun_ms < incident.end_ms)
        if incident.kind == "provider_outage":
            of_provider = np.array([provider == incident.subject for provider, _, _ in SPELLINGS])
            mine = inside & (rows["event_type"] == _LLM) & of_provider[rows["model"]]
        elif incident.kind == "slow_tool":
            mine = inside & (rows["event_type"] == _TOOL) & (rows["tool"] == incident.index)
        elif incident.kind == "runaway_agent":
            mine = inside & (rows["agent"] == incident.index) & np.isin(rows["event_type"], (_LLM, _TOOL))
        else:
            mine = (
                (rows["workspace"] == incident.index)
                & (rows["at_ms"] >= incident.start_ms)
                & (rows["at_ms"] < incident.end_ms)
            )
        hits["events"] += int(np.count_nonzero(mine))
        hits["failed"] += int(np.count_nonzero(mine & np.isin(rows["status"], _FAILED)))
        hits["timeouts"] += int(np.count_nonzero(mine & (rows["status"] == STATUSES.index("timeout"))))

    def as_object(self) -> dict[str, object]:
        """The truth as JSON-ready values; money as decimal strings."""
        config = self._world.config
        malformed = {
            FLAWS[flaw].name: count for (kind, flaw), count in sorted(self._flaws.items()) if kind == faults.MALFORMED
        }
        classes: Counter[str] = Counter()
        curious: Counter[str] = Counter()
        for (kind, flaw), count in sorted(self._flaws.items()):
            if kind == faults.MALFORMED:
                classes[FLAWS[flaw].expected_class] += count
            elif kind == faults.VALID:
                curious[FLAWS[flaw].name] += count
        return {
            "config": asdict(config) | {"start": time_text(config.start_ms), "end": time_text(config.end_ms)},
            "messages": self.messages,
            "events": self.counts["valid"],
            "duplicates": self.counts["duplicate"],
            "corrections": self.counts["correction"],
            "malformed": self.counts["malformed"],
            "malformed_by_flaw": malformed,
            "malformed_by_class": dict(sorted(classes.items())),
            "curiosities": dict(curious),
            "late_over": dict(self._late),
            "price_change_at": time_text(self._world.price_change_ms),
            "by_workspace_type_status": self._outcome_list(),
            "by_workspace_day": self._day_list(),
            "incidents": [self._incident(*pair) for pair in zip(self._incidents, self._hits, strict=True)],
        }

    def _outcome_list(self) -> list[dict[str, object]]:
        cells: list[list[int]] = np.argwhere(self._outcomes != 0).tolist()
        return [
            {
                "workspace_id": self._world.workspaces[workspace].name,
                "event_type": EVENT_TYPES[kind],
                "status": STATUSES[status],
                "events": int(self._outcomes[workspace, kind, status]),
            }
            for workspace, kind, status in cells
        ]

    def _day_list(self) -> list[dict[str, object]]:
        days: list[dict[str, object]] = []
        for cell, events in enumerate(self._sums["events"]):
            if not events:
                continue
            workspace, day = divmod(cell, self._days)
            values: dict[str, object] = {name: total[cell] for name, total in self._sums.items() if name not in _MONEY}
            money: dict[str, object] = {f"{name}_usd": f"{self._sums[name][cell] * PICO:.12f}" for name in _MONEY}
            when = time_text((self._first_day + day) * DAY_MS)[:10]
            days.append({"workspace_id": self._world.workspaces[workspace].name, "day": when} | values | money)
        return days

    def _incident(self, incident: Incident, hits: Counter[str]) -> dict[str, object]:
        return {
            "kind": incident.kind,
            "subject": incident.subject,
            "start": time_text(incident.start_ms),
            "end": time_text(incident.end_ms),
            "minutes": (incident.end_ms - incident.start_ms) / MINUTE_MS,
            "effect": incident.effect,
            **{name: hits[name] for name in ("events", "failed", "timeouts")},
        }
