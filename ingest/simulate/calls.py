"""One attempt at a model or a tool, for many runs at once: tokens, latency, outcome, money.

Shapes: every array has one entry an attempt. Token medians come from the agent, speed and price from the model's
family.
"""

from dataclasses import dataclass

import numpy as np

from ingest.simulate import catalogue
from ingest.simulate.catalogue import ERROR_TYPES, FAMILIES, STATUSES, TOOLS
from ingest.simulate.draws import Draws, Ints, weighted_table
from ingest.simulate.incidents import OUTAGE_FAILURE_SHARE, SLOW_TOOL_FACTOR, Effects
from ingest.simulate.world import World

MISSING_STATUS, OK, ERROR, TIMEOUT, CANCELLED = range(len(STATUSES))
LLM_TIMEOUT_US = 120_000_000
OUTAGE_TIMEOUT_US = 60_000_000
MAX_INPUT_TOKENS = 180_000
_PREFILL_US_PER_TOKEN = 35


def _error_table(choices: tuple[tuple[str, int], ...]) -> Ints:
    numbers = np.array([ERROR_TYPES.index(name) for name, _ in choices], dtype=np.int64)
    return numbers[weighted_table([weight for _, weight in choices], 256)]


_LLM_ERRORS = _error_table(catalogue.LLM_ERRORS)
_OUTAGE_ERRORS = _error_table(catalogue.OUTAGE_ERRORS)
_TOOL_ERRORS = _error_table(catalogue.TOOL_ERRORS)
_TIMEOUT_ERROR = ERROR_TYPES.index(catalogue.TIMEOUT_ERROR)
_TTFT_US = np.array([family.ttft_ms * 1000 for family in FAMILIES], dtype=np.int64)
_US_PER_TOKEN = np.array([family.us_per_token for family in FAMILIES], dtype=np.int64)
_DOES_REASON = np.array([family.does_reason for family in FAMILIES])
_HAS_CACHE = np.array([family.price_cached > 0 for family in FAMILIES])
_HAS_CACHE_WRITE = np.array([family.price_cache_write > 0 for family in FAMILIES])
_LLM_ERROR_SHARE = np.array([family.error_per_mille * (1 << 32) // 1000 for family in FAMILIES], dtype=np.int64)
_TOOL_LATENCY_US = np.array([tool.latency_ms * 1000 for tool in TOOLS], dtype=np.int64)
_TOOL_TIMEOUT_US = np.array([tool.timeout_ms * 1000 for tool in TOOLS], dtype=np.int64)
_TOOL_ERROR_SHARE = np.array([tool.error_per_mille * (1 << 32) // 1000 for tool in TOOLS], dtype=np.int64)
TOOL_PRICE = np.array([round(tool.price_usd * 10**12) for tool in TOOLS], dtype=np.int64)


@dataclass(frozen=True)
class ModelCalls:
    """Outcome of one attempt each. Tokens and times as the producer reports them, -1 where it says nothing; money in
    picodollars.
    """

    status: Ints
    error: Ints
    input: Ints
    output: Ints
    cache_read: Ints
    cache_write: Ints
    reasoning: Ints
    ttft_us: Ints
    latency_us: Ints
    unit_input: Ints
    unit_output: Ints
    cost: Ints


def call_models(
    world: World,
    effects: Effects,
    draws: Draws,
    model: Ints,
    clock_us: Ints,
    prompt: Ints,
    answer: Ints,
    is_repeat: Ints,
) -> ModelCalls:
    """Calls `model` at `clock_us` with prompts and answers of about so many tokens; `is_repeat` marks a context seen
    before.
    """
    count = len(model)
    family = world.family_of[model]
    input_tokens = np.minimum(draws.lognormal(prompt, 0.45, count) + 12, MAX_INPUT_TOKENS)
    output_tokens = draws.lognormal(answer, 0.8, count) + 1
    thinking = np.where(_DOES_REASON[family], draws.lognormal(420, 1.1, count), 0)
    output_tokens += thinking
    can_hit = _HAS_CACHE[family] & (is_repeat > 0) & draws.chance(0.85, count)
    cache_read = np.where(can_hit, input_tokens * (55 + draws.below(40, count)) // 100 // 64 * 64, 0)
    writes = _HAS_CACHE_WRITE[family] & draws.chance(0.6, count)
    cache_write = np.where(writes, (input_tokens - cache_read) * (40 + draws.below(55, count)) // 100, 0)
    prefill_us = (input_tokens - cache_read) * _PREFILL_US_PER_TOKEN
    ttft_us = draws.lognormal(_TTFT_US[family], 0.5, count) + prefill_us
    latency_us = ttft_us + output_tokens * draws.lognormal(_US_PER_TOKEN[family], 0.3, count)

    status = np.full(count, OK, dtype=np.int64)
    error = np.zeros(count, dtype=np.int64)
    fails = draws.chance(_LLM_ERROR_SHARE[family], count)
    status[fails], error[fails] = ERROR, draws.pick(_LLM_ERRORS, count)[fails]
    out = effects.is_provider_out(model, clock_us) & draws.chance(OUTAGE_FAILURE_SHARE, count)
    status[out], error[out] = ERROR, draws.pick(_OUTAGE_ERRORS, count)[out]
    hangs = out & draws.chance(0.2, count)
    latency_us = np.where(fails | out, draws.lognormal(650_000, 0.8, count), latency_us)
    latency_us[hangs] = OUTAGE_TIMEOUT_US
    stalls = ~fails & ~out & draws.chance(0.002, count)
    latency_us[stalls] = LLM_TIMEOUT_US
    late = hangs | (latency_us >= LLM_TIMEOUT_US)
    latency_us = np.minimum(latency_us, LLM_TIMEOUT_US)
    status[late], error[late] = TIMEOUT, _TIMEOUT_ERROR
    stopped = (status == OK) & draws.chance(0.003, count)
    status[stopped] = CANCELLED
    latency_us = np.where(stopped, np.maximum(latency_us * 6 // 10, 1000), latency_us)
    output_tokens = np.where(stopped, output_tokens // 2 + 1, output_tokens)
    silent = (status == OK) & draws.chance(0.006, count)
    status[silent] = MISSING_STATUS

    failed = (status == ERROR) | (status == TIMEOUT)
    output_tokens = np.where(failed, 0, output_tokens)
    reasoning = np.minimum(np.where(thinking > 0, thinking, -1), output_tokens)
    era = (clock_us >= world.price_change_ms * 1000).astype(np.int64)
    price = world.prices[era, family]
    plain_input = input_tokens - cache_read - cache_write
    cost = (
        plain_input * price[:, 0] + cache_read * price[:, 1] + cache_write * price[:, 2] + output_tokens * price[:, 3]
    )
    cost = np.where(failed, 0, cost)
    said_nothing = failed & draws.chance(0.7, count)
    # A failed call has no answer: its counts are missing, or the prompt alone is known.
    return ModelCalls(
        status=status,
        error=error,
        input=np.where(said_nothing, -1, input_tokens),
        output=np.where(failed, -1, output_tokens),
        cache_read=np.where(failed | ~_HAS_CACHE[family], -1, cache_read),
        cache_write=np.where(failed | ~_HAS_CACHE_WRITE[family], -1, cache_write),
        reasoning=np.where(failed, -1, reasoning),
        ttft_us=np.where(failed | draws.chance(0.08, count), -1, np.minimum(ttft_us, latency_us)),
        latency_us=latency_us,
        unit_input=price[:, 0],
        unit_output=price[:, 3],
        cost=cost,
    )


def call_tools(effects: Effects, draws: Draws, tool: Ints, clock_us: Ints) -> tuple[Ints, Ints, Ints]:
    """Calls `tool` at `clock_us`: statuses, error numbers and latencies in µs."""
    count = len(tool)
    latency_us = np.zeros(count, dtype=np.int64)
    for number in np.unique(tool):
        mine = tool == number
        latency_us[mine] = draws.lognormal(int(_TOOL_LATENCY_US[number]), TOOLS[number].sigma, int(mine.sum()))
    latency_us = np.where(effects.is_tool_slow(tool, clock_us), latency_us * SLOW_TOOL_FACTOR, latency_us) + 900
    status = np.full(count, OK, dtype=np.int64)
    error = np.zeros(count, dtype=np.int64)
    fails = draws.chance(_TOOL_ERROR_SHARE[tool], count)
    status[fails], error[fails] = ERROR, draws.pick(_TOOL_ERRORS, count)[fails]
    hangs = draws.chance(0.002, count) | (latency_us >= _TOOL_TIMEOUT_US[tool])
    latency_us = np.where(hangs, _TOOL_TIMEOUT_US[tool], latency_us)
    status[hangs], error[hangs] = TIMEOUT, _TIMEOUT_ERROR
    silent = (status == OK) & draws.chance(0.004, count)
    status[silent] = MISSING_STATUS
    return status, error, latency_us
