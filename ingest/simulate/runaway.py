"""A runaway agent: one run that calls model and tool in a loop for as long as the incident lasts, and is then
cancelled.

Its rows come slice by slice, like those of everything else, and carry on one run's numbers.
"""

import numpy as np

from ingest.simulate import calls
from ingest.simulate.catalogue import EVENT_TYPES
from ingest.simulate.draws import Draws
from ingest.simulate.incidents import RUNAWAY_FACTOR, Effects, Incident
from ingest.simulate.rows import ROW, Rows, empty_rows
from ingest.simulate.world import World

_RUN_NO = 1 << 48
_STARTED, _FINISHED, _LLM, _TOOL = (
    EVENT_TYPES.index(name) for name in ("agent_run_started", "agent_run_finished", "llm_call", "tool_call")
)
_LLM_SHARE_OF_EVENTS = 0.33
_LEAST_CALLS_A_MINUTE = 2.0


def runaway_rows(
    world: World, incident: Incident, start_ms: int, end_ms: int, slice_events: float, next_event: int
) -> Rows:
    """What the agent does between two moments, where the whole company makes about `slice_events` events meanwhile."""
    first_ms, last_ms = max(start_ms, incident.start_ms), min(end_ms, incident.end_ms)
    if first_ms >= last_ms:
        return np.empty(0, dtype=ROW)
    agent = world.agents[incident.index]
    table = world.agents_of[agent.workspace]
    share = world.workspaces[agent.workspace].share * float((table == incident.index).mean())
    usual = slice_events * share * _LLM_SHARE_OF_EVENTS * (last_ms - first_ms) / (end_ms - start_ms)
    floor = _LEAST_CALLS_A_MINUTE * (last_ms - first_ms) / 60_000
    cap = slice_events * 0.6 + 20
    count = round(min(max(usual * RUNAWAY_FACTOR, floor), cap))
    if count == 0:
        return np.empty(0, dtype=ROW)
    root_no = _RUN_NO + (incident.index << 20 | incident.start_ms // 60_000 % (1 << 19)) * 2
    draws = Draws(world.config.seed, 6, incident.start_ms, start_ms)
    begins, ends = first_ms == incident.start_ms, last_ms == incident.end_ms
    rows = empty_rows(2 * count + 2)
    rows["event_no"] = np.arange(next_event, next_event + len(rows))
    # The run's first and last event have numbers of their own, since every slice points to the first.
    rows["event_no"][-2:] = root_no, root_no + 1
    rows["parent_no"][:-2] = root_no
    rows["parent_no"][-1] = root_no
    rows["event_type"][-2:] = _STARTED, _FINISHED
    rows["at_ms"][-2:] = incident.start_ms, incident.end_ms - 1
    rows["status"][-1] = calls.CANCELLED
    rows["latency_us"][-1] = (incident.end_ms - 1 - incident.start_ms) * 1000
    rows["run_no"] = root_no
    rows["session"] = root_no
    rows["actor"] = root_no
    rows["workspace"], rows["agent"] = agent.workspace, incident.index
    rows["route"] = world.routes_of[incident.index, 0]
    model_rows, tool_rows = rows[0:-2:2], rows[1:-2:2]
    spread = (
        (np.arange(count, dtype=np.int64) * 1000 + draws.below(900, count)) * (last_ms - first_ms) // (1000 * count)
    )
    at_ms = np.minimum(first_ms + 1 + spread, last_ms - 3)
    model = np.full(count, world.models_of[incident.index, 0], dtype=np.int64)
    # The context fills up at once and stays full: that is what makes such a loop dear.
    prompt = np.full(count, agent.archetype.prompt_tokens * 4, dtype=np.int64)
    answer = np.full(count, agent.archetype.output_tokens, dtype=np.int64)
    made = calls.call_models(
        world, Effects([]), draws, model, at_ms * 1000, prompt, answer, np.ones(count, dtype=np.int64)
    )
    model_rows["event_type"], model_rows["at_ms"], model_rows["model"] = _LLM, at_ms, model
    for name in (
        "status",
        "error",
        "input",
        "output",
        "cache_read",
        "cache_write",
        "reasoning",
        "ttft_us",
        "latency_us",
    ):
        model_rows[name] = getattr(made, name)
    if agent.money == "cost":
        model_rows["cost"] = made.cost
    if agent.money == "unit":
        model_rows["unit_input"], model_rows["unit_output"] = made.unit_input, made.unit_output
    model_rows["prompt"], model_rows["attempt"] = incident.index * 64, 1
    tool = np.full(count, world.tools_of[incident.index, 0], dtype=np.int64)
    status, error, latency_us = calls.call_tools(Effects([]), draws, tool, at_ms * 1000)
    tool_rows["event_type"], tool_rows["tool"], tool_rows["attempt"] = _TOOL, tool, 1
    tool_rows["at_ms"] = at_ms + 1
    tool_rows["status"], tool_rows["error"], tool_rows["latency_us"] = status, error, latency_us
    is_wanted = np.ones(len(rows), dtype=np.bool_)
    is_wanted[-2:] = begins, ends
    return rows[is_wanted]
