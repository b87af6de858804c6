"""The company: workspaces of very different size and rhythm, their agents, and when each is at work.

Built once from a SimulationConfig; read-only afterwards. Everything is decided by the seed.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ingest.simulate import catalogue
from ingest.simulate.catalogue import ARCHETYPES, FAMILIES, SPELLINGS, TOOLS, Archetype
from ingest.simulate.config import DAY_MS, HOUR_MS, MINUTE_MS, SimulationConfig
from ingest.simulate.draws import Draws, Ints, weighted_table

PICKS = 64
"""Entries of a small choice table (models, tools, routes of one agent)."""
_OFFICE_HOURS = (3, 2, 2, 2, 3, 5, 10, 25, 60, 90, 100, 96, 78, 88, 98, 94, 80, 56, 34, 24, 18, 12, 8, 5)
_AROUND_THE_CLOCK = (40, 34, 30, 28, 30, 36, 46, 58, 70, 80, 86, 88, 90, 90, 88, 88, 90, 94, 100, 98, 90, 78, 64, 50)
_OFFICE_DAYS = (100, 104, 102, 98, 86, 16, 12)
_ALL_DAYS = (92, 90, 92, 96, 104, 112, 106)
_MONDAY_MS = 4 * DAY_MS
"""1970-01-05, a Monday."""


@dataclass(frozen=True)
class Workspace:
    name: str
    share: float
    """Of all runs, over a week."""
    utc_offset_minutes: int
    is_office: bool
    actors: int


@dataclass(frozen=True)
class Agent:
    """One agent of one workspace and the habits of its producer."""

    workspace: int
    archetype: Archetype
    region: str
    source: str
    time_format: int
    """0 RFC 3339 in UTC, 1 with the workspace's own offset, 2 epoch milliseconds."""
    money: str
    """What it says of money: nothing (''), 'unit' costs, or 'cost'."""
    is_money_text: bool
    has_version: bool


class World:
    """The company of one configuration, and its choice tables as arrays over agents."""

    def __init__(self, config: SimulationConfig) -> None:
        self.config = config
        draws = Draws(config.seed, 1)
        self.workspaces = [_workspace(index, config.workspaces, draws) for index in range(config.workspaces)]
        self.agents: list[Agent] = []
        self.agents_of: list[Ints] = []
        for index in range(config.workspaces):
            own = _agents_of(index, draws)
            first = len(self.agents)
            self.agents.extend(own)
            shares = [1.0 / (rank + 1) for rank in range(len(own))]
            self.agents_of.append(first + weighted_table(shares, 256))
        self.price_change_ms = _price_change(config)

    @cached_property
    def spelling_numbers(self) -> dict[str, int]:
        return {model: number for number, (_, model, _) in enumerate(SPELLINGS)}

    @cached_property
    def models_of(self) -> Ints:
        """Model numbers to pick from, shape (agents, PICKS)."""
        rows = []
        for agent in self.agents:
            numbers = np.array([self.spelling_numbers[model] for model, _ in agent.archetype.models], dtype=np.int64)
            rows.append(numbers[weighted_table([weight for _, weight in agent.archetype.models], PICKS)])
        return np.stack(rows)

    @cached_property
    def tools_of(self) -> Ints:
        """Tool numbers to pick from, shape (agents, PICKS); the first tool of an agent is its favourite."""
        by_name = {tool.name: number for number, tool in enumerate(TOOLS)}
        rows = []
        for agent in self.agents:
            numbers = np.array([by_name[name] for name in agent.archetype.tools], dtype=np.int64)
            rows.append(numbers[weighted_table([1.0 / (rank + 1) for rank in range(len(numbers))], PICKS)])
        return np.stack(rows)

    @cached_property
    def routes(self) -> list[str]:
        return sorted({route for archetype in ARCHETYPES for route in archetype.routes})

    @cached_property
    def routes_of(self) -> Ints:
        """Route numbers to pick from, shape (agents, PICKS)."""
        rows = []
        for agent in self.agents:
            numbers = np.array([self.routes.index(route) for route in agent.archetype.routes], dtype=np.int64)
            rows.append(numbers[weighted_table([1.0 / (rank + 1) for rank in range(len(numbers))], PICKS)])
        return np.stack(rows)

    @cached_property
    def family_of(self) -> Ints:
        """Family number of each spelling."""
        names = [family.name for family in FAMILIES]
        return np.array([names.index(family) for _, _, family in SPELLINGS], dtype=np.int64)

    @cached_property
    def prices(self) -> Ints:
        """Picodollars a token: shape (2, families, 4), before and after the change; input, cached, cache write,
        output.
        """
        before = [[f.price_input, f.price_cached, f.price_cache_write, f.price_output] for f in FAMILIES]
        after = [[price * family.price_change for price in row] for row, family in zip(before, FAMILIES, strict=True)]
        return np.array([[[round(price * 1_000_000) for price in row] for row in era] for era in (before, after)])

    def weights(self, start_ms: int, end_ms: int) -> Ints:
        """How busy each workspace is between two moments, as integers of one scale, shape (workspaces,)."""
        middle_ms = (start_ms + end_ms) // 2
        rows = []
        for workspace in self.workspaces:
            local_ms = middle_ms + workspace.utc_offset_minutes * MINUTE_MS
            rows.append(_rhythm(workspace.is_office, local_ms) * max(1, round(workspace.share * 10_000)))
        return np.array(rows, dtype=np.int64) * (end_ms - start_ms) // 1000


def _workspace(index: int, count: int, draws: Draws) -> Workspace:
    tail = [1.0 / rank**2 for rank in range(1, count)]
    share = 1.0 if count == 1 else 0.5 if index == 0 else 0.5 * tail[index - 1] / sum(tail)
    named = index < len(catalogue.WORKSPACES)
    name = catalogue.WORKSPACES[index] if named else f"workspace-{index + 1:04d}"
    offset = catalogue.UTC_OFFSETS_MINUTES[index % len(catalogue.UTC_OFFSETS_MINUTES)]
    is_office = index % 3 == 1
    return Workspace(name, share, offset, is_office, 8 + round(share * 4000) + draws.one(12))


def _agents_of(workspace: int, draws: Draws) -> list[Agent]:
    count = 6 if workspace == 0 else 2 + draws.one(3)
    tastes = [draws.one(1 << 30) for _ in ARCHETYPES]
    # The router, whose own model costs nothing, is never a workspace's busiest agent: that would make dull numbers.
    by_taste = sorted(range(len(ARCHETYPES)), key=lambda number: (number == len(ARCHETYPES) - 1, tastes[number]))
    agents = []
    for rank, number in enumerate(by_taste[:count]):
        # Most producers say nothing of money; of six agents one reports costs and one its unit costs.
        habit = (rank + workspace) % 6
        agents.append(
            Agent(
                workspace=workspace,
                archetype=ARCHETYPES[number],
                region=catalogue.REGIONS[draws.one(len(catalogue.REGIONS))],
                source=catalogue.SOURCES[draws.one(len(catalogue.SOURCES))],
                time_format=(0, 0, 1, 0, 2, 0)[(rank + 2 * workspace) % 6],
                money={1: "cost", 4: "unit"}.get(habit, ""),
                is_money_text=draws.one(2) == 0,
                has_version=draws.one(4) != 0,
            )
        )
    return agents


def _rhythm(is_office: bool, local_ms: int) -> int:
    """Weight of a moment of the week, 1000 on average; an office sleeps at night and at the week's end."""
    hours, days = (_OFFICE_HOURS, _OFFICE_DAYS) if is_office else (_AROUND_THE_CLOCK, _ALL_DAYS)
    day = (local_ms - _MONDAY_MS) // DAY_MS % 7
    hour, into_hour = divmod(local_ms % DAY_MS, HOUR_MS)
    between = hours[hour] * (HOUR_MS - into_hour) + hours[(hour + 1) % 24] * into_hour
    return max(1, between * days[day] * 1000 * 24 * 7 // (HOUR_MS * sum(hours) * sum(days)))


def _price_change(config: SimulationConfig) -> int:
    """The midnight (UTC) inside the window that is nearest its middle; its middle where there is none."""
    middle_ms = (config.start_ms + config.end_ms) // 2
    midnight_ms = (middle_ms + DAY_MS // 2) // DAY_MS * DAY_MS
    return midnight_ms if config.start_ms < midnight_ms < config.end_ms else middle_ms
