"""Named incidents: when, how long, whom they hit, and what they do to the calls made meanwhile.

`place_incidents` decides all of it before the first event, from the seed or as asked; nothing later moves them. A
call is hit when it starts inside [start_ms, end_ms).
"""

from dataclasses import dataclass

import numpy as np

from ingest.errors import SettingsError
from ingest.simulate.catalogue import SPELLINGS, TOOLS
from ingest.simulate.config import MINUTE_MS, IncidentKind, IncidentRequest, SimulationConfig, time_text
from ingest.simulate.draws import Bools, Draws, Ints
from ingest.simulate.world import PICKS, World

OUTAGE_FAILURE_SHARE = 0.95
SLOW_TOOL_FACTOR = 20
RUNAWAY_FACTOR = 50
_MINUTES: dict[IncidentKind, int] = {
    "provider_outage": 30, "slow_tool": 60, "runaway_agent": 45, "stopped_producer": 120,
}  # fmt: skip


@dataclass(frozen=True)
class Incident:
    """`subject` is a provider, a tool, `workspace/agent`, or a workspace; `index` its number in the world's tables."""

    kind: IncidentKind
    start_ms: int
    end_ms: int
    subject: str
    index: int

    @property
    def effect(self) -> str:
        return {
            "provider_outage": f"{OUTAGE_FAILURE_SHARE:.0%} of the provider's calls fail with 5xx or time out",
            "slow_tool": f"the tool takes {SLOW_TOOL_FACTOR} times as long, up to its timeout",
            "runaway_agent": f"the agent loops: about {RUNAWAY_FACTOR} times its usual calls and cost",
            "stopped_producer": "the workspace sends nothing",
        }[self.kind]

    def overlap_ms(self, start_ms: int, end_ms: int) -> int:
        return max(0, min(self.end_ms, end_ms) - max(self.start_ms, start_ms))

    def sentence(self) -> str:
        minutes = (self.end_ms - self.start_ms) / MINUTE_MS
        return f"{self.kind} {self.subject} {time_text(self.start_ms)} for {minutes:g} min: {self.effect}"


def place_incidents(world: World) -> list[Incident]:
    """All incidents of a configuration, by start; raises SettingsError for a subject that does not exist here."""
    config = world.config
    placed = [
        _place(world, request, Draws(config.seed, 2, number), number, len(config.incidents))
        for number, request in enumerate(config.incidents)
    ]
    return sorted(placed, key=lambda incident: (incident.start_ms, incident.kind, incident.subject))


def _place(world: World, request: IncidentRequest, draws: Draws, number: int, count: int) -> Incident:
    config = world.config
    subjects = _subjects(world, request.kind)
    if request.subject and request.subject not in subjects:
        known = ", ".join(sorted(subjects))
        raise SettingsError(f"--incident {request.kind} expects a subject among {known}, came {request.subject!r}.")
    subject = request.subject or _favourite(request.kind, list(subjects), draws)
    length_ms = request.duration_ms or min(_MINUTES[request.kind] * MINUTE_MS, config.window_ms // 8)
    if request.start_ms is not None:
        start_ms = request.start_ms
    else:
        start_ms = _busy_start(
            config, world, _workspace_of(world, request.kind, subjects[subject]), length_ms, number, count, draws
        )
    return Incident(request.kind, start_ms, min(start_ms + length_ms, config.end_ms), subject, subjects[subject])


def _subjects(world: World, kind: IncidentKind) -> dict[str, int]:
    """Whom an incident of the kind can hit, the most exposed first."""
    exposure: dict[str, float] = {}
    index: dict[str, int] = {}
    for number, agent in enumerate(world.agents):
        workspace = world.workspaces[agent.workspace]
        share = workspace.share * float((world.agents_of[agent.workspace] == number).mean()) / PICKS
        if kind == "provider_outage":
            hit = [(SPELLINGS[model][0], 0) for model in world.models_of[number].tolist() if SPELLINGS[model][0]]
        elif kind == "slow_tool":
            hit = [(TOOLS[tool].name, tool) for tool in world.tools_of[number].tolist()]
        elif kind == "runaway_agent":
            hit = [(f"{workspace.name}/{agent.archetype.name}", number)]
        else:
            hit = [(workspace.name, agent.workspace)]
        for name, of_name in hit:
            exposure[name] = exposure.get(name, 0.0) + share
            index[name] = of_name
    return {name: index[name] for name in sorted(exposure, key=lambda name: (-exposure[name], name))}


def _favourite(kind: IncidentKind, names: list[str], draws: Draws) -> str:
    """A subject that somebody notices."""
    if kind == "stopped_producer" and len(names) > 1:
        # Not the largest workspace, whose silence would leave half of the window empty.
        names = names[1:3]
    if kind == "slow_tool":
        timeouts = {tool.name: tool.latency_ms * SLOW_TOOL_FACTOR * 4 >= tool.timeout_ms for tool in TOOLS}
        names = [name for name in names if timeouts[name]] or names
    return names[draws.one(min(len(names), 3))]


def _workspace_of(world: World, kind: IncidentKind, index: int) -> int:
    if kind == "stopped_producer":
        return index
    return world.agents[index].workspace if kind == "runaway_agent" else 0


def _busy_start(
    config: SimulationConfig, world: World, workspace: int, length_ms: int, number: int, count: int, draws: Draws
) -> int:
    """A minute in this incident's own part of the window at which the workspace is at work, so that parts do not
    overlap.
    """
    # A tenth at either end stays quiet: an incident needs a before, and an after to be resolved in.
    part_ms = config.window_ms * 8 // 10 // count
    order = sorted(range(count), key=lambda part: Draws(config.seed, 3, part).one(1 << 30))
    first_ms = config.start_ms + config.window_ms // 10 + order[number] * part_ms
    room_ms = max(0, part_ms - length_ms)
    starts = [first_ms + room_ms * step // 16 for step in range(17)]
    busy = sorted(starts, key=lambda start: (-int(world.weights(start, start + length_ms)[workspace]), start))
    start_ms = busy[draws.one(5)]
    on_the_minute = start_ms // MINUTE_MS * MINUTE_MS
    return on_the_minute if on_the_minute >= config.start_ms else start_ms


class Effects:
    """What the placed incidents do to a batch of calls; all methods take and return arrays of one length."""

    def __init__(self, incidents: list[Incident]) -> None:
        self.incidents = incidents
        providers = [provider for provider, _, _ in SPELLINGS]
        self._outages = [
            (one, np.array([provider == one.subject for provider in providers]))
            for one in incidents
            if one.kind == "provider_outage"
        ]
        self._slow = [one for one in incidents if one.kind == "slow_tool"]
        self.silences = [one for one in incidents if one.kind == "stopped_producer"]
        self.runaways = [one for one in incidents if one.kind == "runaway_agent"]

    def is_provider_out(self, model: Ints, clock_us: Ints) -> Bools:
        hit = np.zeros(len(model), dtype=np.bool_)
        for outage, is_its_model in self._outages:
            hit |= is_its_model[model] & _inside(outage, clock_us)
        return hit

    def is_tool_slow(self, tool: Ints, clock_us: Ints) -> Bools:
        hit = np.zeros(len(tool), dtype=np.bool_)
        for slow in self._slow:
            hit |= (tool == slow.index) & _inside(slow, clock_us)
        return hit

    def is_lost(self, workspace: Ints, started_ms: Ints, at_ms: Ints) -> Bools:
        """True for what a silent workspace never sends, and for the rest of a run that was under way when it fell
        silent.
        """
        lost = np.zeros(len(workspace), dtype=np.bool_)
        for silence in self.silences:
            begun = started_ms < silence.end_ms
            lost |= (workspace == silence.index) & begun & (at_ms >= silence.start_ms)
        return lost


def _inside(incident: Incident, clock_us: Ints) -> Bools:
    return (clock_us >= incident.start_ms * 1000) & (clock_us < incident.end_ms * 1000)
