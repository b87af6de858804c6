"""Many runs at once, step by step: what each agent does, in the order in which it does it.

A run is agent_run_started, then for each step an agent_step, an llm_call with up to two retries and up to three
tool_calls with a retry each, then agent_run_finished with the roll-up of its calls; an `error` event tells of a
failure that no retry cured. Some runs fall silent and never finish. Within a run the times strictly increase.
"""

import numpy as np

from ingest.simulate import calls
from ingest.simulate.calls import CANCELLED, ERROR, MISSING_STATUS, OK, TIMEOUT
from ingest.simulate.catalogue import BUSINESS_EVENTS, ENVIRONMENTS, ERROR_TYPES, EVENT_TYPES, FINAL_ERRORS
from ingest.simulate.config import MINUTE_MS
from ingest.simulate.draws import Bools, Draws, Ints, mix, mix_words, weighted_table
from ingest.simulate.incidents import Effects
from ingest.simulate.rows import Rows, empty_rows, join_rows
from ingest.simulate.world import PICKS, World

STARTED, FINISHED, STEP, LLM, TOOL, FAILURE, BUSINESS = range(len(EVENT_TYPES))
MAX_STEPS = 16
_LLM_DOWN, _TOOL_FAILED = (ERROR_TYPES.index(name) for name in ("llm_unavailable", "tool_failed"))
_ENVIRONMENTS = weighted_table([weight for _, weight in ENVIRONMENTS], 256)
_TOOL_COUNTS = weighted_table([25, 45, 20, 10], 256)
_FINAL_ERRORS = tuple(ERROR_TYPES.index(name) for name in FINAL_ERRORS)
_GAP_US = 1_200
"""Least time between two events of a run, so that their milliseconds differ."""
_SILENT = -1
"""Outcome of a run that never finishes."""


class RunBatch:
    """A batch of runs under way; `simulate` plays them to their end and returns their rows, in no particular order."""

    def __init__(
        self, world: World, effects: Effects, draws: Draws, agent: Ints, start_ms: Ints, first_run: int, next_event: int
    ) -> None:
        self.world, self.effects, self.draws = world, effects, draws
        count = len(agent)
        self.agent, self.start_ms = agent, start_ms
        self.run_no = first_run + np.arange(count, dtype=np.int64)
        self.next_event = next_event
        self.clock_us = start_ms * 1000 + draws.below(900, count)
        of_agents = world.agents
        self.workspace = np.array([one.workspace for one in of_agents], dtype=np.int64)[agent]
        self.environment = draws.pick(_ENVIRONMENTS, count)
        self.route = world.routes_of[agent, draws.below(PICKS, count)]
        self.model = world.models_of[agent, draws.below(PICKS, count)]
        self.actor, self.session = self._people()
        steps = np.array([round(one.archetype.steps * 1000) for one in of_agents], dtype=np.int64)[agent]
        self.steps = np.clip(draws.lognormal(steps, 0.55, count) // 1000, 1, MAX_STEPS)
        self.prompt = np.array([one.archetype.prompt_tokens for one in of_agents], dtype=np.int64)[agent]
        self.answer = np.array([one.archetype.output_tokens for one in of_agents], dtype=np.int64)[agent]
        self.prompt_no = agent * 64 + (draws.u16(count) * draws.u16(count) >> 26)
        self.says_cost = np.array([one.money == "cost" for one in of_agents])[agent]
        self.says_unit = np.array([one.money == "unit" for one in of_agents])[agent]
        self.outcome = np.full(count, OK, dtype=np.int64)
        self.root_no = np.zeros(count, dtype=np.int64)
        self.step_no = np.zeros(count, dtype=np.int64)
        self.sums = {name: np.zeros(count, dtype=np.int64) for name in ("input", "output", "cost")}
        self._rows: list[Rows] = []

    def simulate(self) -> Rows:
        """Plays every run to its end."""
        everyone = np.arange(len(self.agent))
        self.root_no[:] = self._emit(STARTED, everyone)["event_no"]
        for step in range(MAX_STEPS):
            at_work = everyone[(self.steps > step) & (self.outcome == OK)]
            if not len(at_work):
                break
            self._step(step, at_work)
        self._finish(everyone)
        return join_rows(self._rows)

    def _people(self) -> tuple[Ints, Ints]:
        """Who asks: a few actors of a workspace ask most; what one asks within half an hour is one session."""
        count = len(self.agent)
        bound = np.array([one.actors for one in self.world.workspaces], dtype=np.int64)[self.workspace]
        actor = (bound * self.draws.u16(count) >> 16) * self.draws.u16(count) >> 16
        actor_word = mix_words(mix(self.world.config.seed, 11), (self.workspace << 32 | actor).astype(np.uint64))
        half_hour = (self.start_ms // (30 * MINUTE_MS)).astype(np.uint64)
        return actor_word.view(np.int64), mix_words(mix(self.world.config.seed, 12), actor_word ^ half_hour).view(
            np.int64
        )

    def _emit(self, event_type: int, who: Ints, **values: Ints | int) -> Rows:
        """Rows of one kind of event for the runs `who`, at their clocks, which move on by the least gap."""
        rows = empty_rows(len(who))
        rows["event_no"] = np.arange(self.next_event, self.next_event + len(who))
        self.next_event += len(who)
        rows["event_type"] = event_type
        rows["at_ms"] = self.clock_us[who] // 1000
        self.clock_us[who] += _GAP_US
        for name in ("run_no", "session", "actor", "workspace", "agent", "environment", "route"):
            rows[name] = getattr(self, name)[who]
        rows["parent_no"] = (self.root_no if event_type in (STEP, FINISHED, BUSINESS) else self.step_no)[who]
        for name, value in values.items():
            rows[name] = value
        self._rows.append(rows)
        return rows

    def _step(self, step: int, who: Ints) -> None:
        draws = self.draws
        self.clock_us[who] += draws.lognormal(25_000, 0.9, len(who))
        self.step_no[who] = self._emit(STEP, who, step=step)["event_no"]
        self._ask_model(step, who)
        going_on = who[(self.outcome[who] == OK) & (self.steps[who] > step + 1)]
        wanted = draws.pick(_TOOL_COUNTS, len(going_on))
        for nth in range(3):
            users = going_on[wanted > nth]
            users = users[self.outcome[users] == OK]
            if len(users):
                self._use_tool(step, users)
        lost = who[(self.outcome[who] == OK) & draws.chance(0.003, len(who))]
        self.outcome[lost] = _SILENT

    def _ask_model(self, step: int, who: Ints) -> None:
        draws = self.draws
        for attempt in range(3):
            other = self.world.models_of[self.agent[who], draws.below(PICKS, len(who))]
            model = np.where(draws.chance(0.08, len(who)), other, self.model[who])
            grown = self.prompt[who] * (100 + 38 * step) // 100
            answer = self.answer[who]
            repeat = np.full(len(who), step, dtype=np.int64)
            made = calls.call_models(self.world, self.effects, draws, model, self.clock_us[who], grown, answer, repeat)
            self.clock_us[who] += made.latency_us
            self._emit(
                LLM, who, model=model, prompt=self.prompt_no[who], step=step, attempt=attempt + 1,
                status=made.status, error=made.error, input=made.input, output=made.output, cache_read=made.cache_read,
                cache_write=made.cache_write, reasoning=made.reasoning,
                ttft_us=made.ttft_us, latency_us=made.latency_us,
                unit_input=np.where(self.says_unit[who], made.unit_input, -1),
                unit_output=np.where(self.says_unit[who], made.unit_output, -1),
                cost=np.where(self.says_cost[who], made.cost, -1),
            )  # fmt: skip
            self.sums["input"][who] += np.maximum(made.input, 0)
            self.sums["output"][who] += np.maximum(made.output, 0)
            self.sums["cost"][who] += made.cost
            self.outcome[who[made.status == CANCELLED]] = CANCELLED
            failed = (made.status == ERROR) | (made.status == TIMEOUT)
            is_final = failed & (np.isin(made.error, _FINAL_ERRORS) if attempt < 2 else True)
            self._give_up(who[is_final], made.status[is_final], _LLM_DOWN)
            who = who[failed & ~is_final]
            if not len(who):
                return
            self.clock_us[who] += draws.lognormal(400_000 << attempt, 0.4, len(who))

    def _use_tool(self, step: int, who: Ints) -> None:
        draws = self.draws
        tool = self.world.tools_of[self.agent[who], draws.below(PICKS, len(who))]
        for attempt in range(2):
            status, error, latency_us = calls.call_tools(self.effects, draws, tool, self.clock_us[who])
            self.clock_us[who] += latency_us
            price = np.where(status == OK, calls.TOOL_PRICE[tool], 0)
            has_price = self.says_cost[who] & (calls.TOOL_PRICE[tool] > 0)
            self._emit(
                TOOL, who, tool=tool, step=step, attempt=attempt + 1, status=status, error=error,
                latency_us=latency_us, cost=np.where(has_price, price, -1),
            )  # fmt: skip
            self.sums["cost"][who] += price
            failed = (status == ERROR) | (status == TIMEOUT)
            who, tool, status = who[failed], tool[failed], status[failed]
            if not len(who):
                return
            self.clock_us[who] += draws.lognormal(120_000, 0.4, len(who))
        # An agent mostly finds a way around a broken tool; one time in five the run is lost.
        fatal = draws.chance(0.2, len(who))
        self._give_up(who[fatal], status[fatal], _TOOL_FAILED)

    def _give_up(self, who: Ints, status: Ints, error: int) -> None:
        if len(who):
            self._emit(FAILURE, who, status=status, error=error)
            self.outcome[who] = status

    def _finish(self, everyone: Ints) -> None:
        draws = self.draws
        who = everyone[self.outcome != _SILENT]
        self.clock_us[who] += draws.lognormal(15_000, 0.8, len(who))
        outcome = self.outcome[who]
        unsaid = (outcome == OK) & draws.chance(0.01, len(who))
        error = np.where(outcome == ERROR, _LLM_DOWN, np.where(outcome == TIMEOUT, ERROR_TYPES.index("timeout"), 0))
        tells = self.says_cost[who]
        self._emit(
            FINISHED, who, status=np.where(unsaid, MISSING_STATUS, outcome), error=error,
            latency_us=self.clock_us[who] - self.start_ms[who] * 1000,
            input=self.sums["input"][who], output=self.sums["output"][who],
            cost=np.where(tells, self.sums["cost"][who], -1),
        )  # fmt: skip
        pays = who[(outcome == OK) & self._is_production(who) & draws.chance(0.12, len(who))]
        if len(pays):
            self.clock_us[pays] += draws.lognormal(2_000_000, 1.2, len(pays))
            kinds = _business_table(self.world)[self.agent[pays], draws.below(PICKS, len(pays))]
            self._emit(BUSINESS, pays, business=kinds, amount=draws.lognormal(4_900, 1.0, len(pays)))

    def _is_production(self, who: Ints) -> Bools:
        is_production: Bools = self.environment[who] == 0
        return is_production


def _business_table(world: World) -> Ints:
    rows = []
    for agent in world.agents:
        numbers = np.array([BUSINESS_EVENTS.index(name) for name in agent.archetype.business], dtype=np.int64)
        rows.append(numbers[weighted_table([1.0] * len(numbers), PICKS)])
    return np.stack(rows)
