"""What goes wrong on the way: lateness, resent and corrected copies, malformed messages. Rows in, more rows out.

A duplicate is its event to the byte; a correction has the event's id, other numbers, and comes later than every other
copy; a malformed message is a broken clone with an id of its own. Copies come after their original, in the same
partition. What the text of a flawed row looks like is said in flaws.py.
"""

import numpy as np

from ingest.simulate import calls
from ingest.simulate.catalogue import ERROR_TYPES, EVENT_TYPES
from ingest.simulate.config import HOUR_MS, MINUTE_MS, SimulationConfig
from ingest.simulate.draws import Bools, Draws, Ints
from ingest.simulate.flaws import CURIOSITIES, DEFECTS, FLAWS
from ingest.simulate.incidents import Effects
from ingest.simulate.rows import Rows, join_rows

VALID, DUPLICATE, CORRECTION, MALFORMED = range(4)
KINDS = ("valid", "duplicate", "correction", "malformed")
_FIXABLE = tuple(EVENT_TYPES.index(name) for name in ("llm_call", "tool_call", "agent_run_finished"))
_LLM_CALL = EVENT_TYPES.index("llm_call")
_FIXED_ERROR = ERROR_TYPES.index("invalid_request_error")
_ANY_DEFECTS = np.array([FLAWS.index(flaw) for flaw in DEFECTS if not flaw.needs_model_call], dtype=np.int64)
_LLM_DEFECTS = np.array([FLAWS.index(flaw) for flaw in DEFECTS], dtype=np.int64)
_CURIOSITIES = np.array([FLAWS.index(flaw) for flaw in CURIOSITIES], dtype=np.int64)


def is_first(rows: Rows) -> Bools:
    """True for the first copy of each valid event."""
    first: Bools = rows["kind"] == VALID
    return first


def kind_name(kind: int, flaw: int) -> str:
    """'valid', 'duplicate', 'correction', 'malformed', with ':' and the flaw's name where the text has one."""
    return KINDS[kind] if flaw == 0 else f"{KINDS[kind]}:{FLAWS[flaw].name}"


def expected(kind: int) -> str:
    """'landed', 'repeat' (one more copy of a landed event) or 'dead_letter'."""
    return ("landed", "repeat", "repeat", "dead_letter")[kind]


class FaultMaker:
    """Adds the faults of one configuration to finished rows."""

    def __init__(self, config: SimulationConfig, effects: Effects) -> None:
        self._config, self._effects = config, effects

    def add(self, rows: Rows, draws: Draws, next_event: int) -> tuple[Rows, int]:
        """The rows with their times of arrival, their copies and their malformed clones; and the next free event
        number.
        """
        config, count = self._config, len(rows)
        at_ms = rows["at_ms"].astype(np.int64)
        rows["arrival_ms"] = at_ms + 5 + draws.lognormal(120, 0.9, count)
        late = draws.chance(float(config.late_rate), count)
        rows["arrival_ms"][late] = at_ms[late] + self._delays(at_ms[late], draws)
        curious = draws.chance(float(config.extra_rate), count)
        rows["flaw"][curious] = _CURIOSITIES[draws.below(len(_CURIOSITIES), int(curious.sum()))]
        resent = draws.chance(float(config.duplicate_rate), count)
        fixed = draws.chance(float(config.correction_rate), count) & ~resent & np.isin(rows["event_type"], _FIXABLE)
        broken = draws.chance(float(config.malformed_rate), count)
        malformed = self._malformed(rows[broken], draws, next_event)
        copies = [rows, self._duplicates(rows[resent], draws), self._corrections(rows[fixed], draws), malformed]
        return join_rows(copies), next_event + len(malformed)

    def _delays(self, at_ms: Ints, draws: Draws) -> Ints:
        """Minutes mostly, days at times; never beyond the window's end, so that what is late still comes."""
        count = len(at_ms)
        minutes_ms = draws.lognormal(8 * MINUTE_MS, 1.2, count)
        days_ms = draws.below(72 * HOUR_MS, count) + HOUR_MS
        delay_ms = np.where(draws.chance(0.35, count), days_ms, minutes_ms) + MINUTE_MS
        return delay_ms % np.maximum(self._config.end_ms - at_ms, 1)

    def _duplicates(self, rows: Rows, draws: Draws) -> Rows:
        rows["kind"] = DUPLICATE
        rows["arrival_ms"] += 1 + draws.lognormal(4_000, 1.5, len(rows))
        return rows

    def _corrections(self, rows: Rows, draws: Draws) -> Rows:
        """Further output tokens and cost, or an outcome that turned out wrong, or a time that was."""
        for name in ("at_ms", "status", "output", "cost"):
            rows[f"was_{name}"] = rows[name]
        rows["kind"] = CORRECTION
        rows["flaw"] = 0
        rows["arrival_ms"] += 1 + draws.lognormal(90_000, 1.5, len(rows))
        variant = draws.below(3, len(rows))
        more = (variant == 0) & (rows["output"] >= 0)
        rows["output"][more] += 37
        dearer = (variant == 0) & (rows["cost"] >= 0)
        rows["cost"][dearer] += rows["cost"][dearer] // 10 + 1_000_000
        failed = (variant == 1) & (rows["status"] == calls.OK)
        rows["status"][failed], rows["error"][failed] = calls.ERROR, _FIXED_ERROR
        moved = variant == 2
        back_ms = MINUTE_MS + draws.below(3 * HOUR_MS, len(rows))
        moved_to_ms = np.maximum(rows["at_ms"] - back_ms, self._config.start_ms)
        moved &= ~self._effects.is_lost(rows["workspace"], moved_to_ms, moved_to_ms)
        rows["at_ms"][moved] = moved_to_ms[moved]
        return rows

    def _malformed(self, rows: Rows, draws: Draws, next_event: int) -> Rows:
        count = len(rows)
        rows["event_no"] = np.arange(next_event, next_event + count)
        rows["kind"] = MALFORMED
        of_model_calls = _LLM_DEFECTS[draws.below(len(_LLM_DEFECTS), count)]
        of_others = _ANY_DEFECTS[draws.below(len(_ANY_DEFECTS), count)]
        is_model_call = rows["event_type"] == _LLM_CALL
        rows["flaw"] = np.where(is_model_call, of_model_calls, of_others)
        return rows
