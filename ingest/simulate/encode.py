"""Rows to JSON lines, thousands at a time.

Every field is written into a matrix of bytes at its widest, zero where it is shorter or missing, and then the zeros are
squeezed out of the whole matrix: no Python object an event, and no dependence on a library's float formatting. A field's text
carries its comma and key, so that a missing one vanishes. Measured on one core: docs/simulator.md.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from ingest.simulate import catalogue
from ingest.simulate.config import DAY_MS, MINUTE_MS
from ingest.simulate.draws import Ints, Words, mix, mix_words
from ingest.simulate.rows import Rows
from ingest.simulate.world import World

Text = npt.NDArray[np.uint8]
_STRIPE = 2048
"""Rows squeezed at once: their matrix stays in the CPU's cache."""


def text_table(texts: Sequence[str]) -> Text:
    """Texts as rows of bytes, padded with zeros to the longest; shape (texts, width)."""
    encoded = [text.encode() for text in texts]
    width = max(1, *map(len, encoded))
    return np.frombuffer(b"".join(text.ljust(width, b"\0") for text in encoded), dtype=np.uint8).reshape(-1, width)


_FULL = text_table([f"{number:04d}" for number in range(10_000)])
_LEADING = text_table(["", *(str(number).rjust(4, "\0") for number in range(1, 10_000))])
_HEX = text_table([f"{number:02x}" for number in range(256)])


def _digits(values: Ints, groups: int, has_units: bool = True) -> Text:
    """Decimal digits without leading zeros, up to 4 * groups of them; a zero is '0' (or nothing, without units)."""
    out = np.empty((len(values), 4 * groups), dtype=np.uint8)
    rest = values
    for group in range(groups - 1, -1, -1):
        above = rest // 10_000
        low = rest - above * 10_000
        out[:, 4 * group : 4 * group + 4] = np.where((above > 0)[:, None], _FULL[low], _LEADING[low])
        rest = above
    if has_units:
        out[values == 0, -1] = 48
    return out


def _hex(words: Words) -> Text:
    """16 hex digits of each word, shape (words, 16)."""
    parts = np.ascontiguousarray(words.astype(">u8")).view(np.uint8).reshape(-1, 8)
    return _HEX[parts].reshape(-1, 16)


class Encoder:
    """Turns rows of one world into JSON lines; holds its text tables and no state between calls."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._salts = [mix(world.config.seed, 20, purpose) for purpose in range(12)]
        agents = world.agents
        self._event_types = text_table([f'","event_type":"{name}"' for name in catalogue.EVENT_TYPES])
        self._versions = text_table([',"schema_version":1' if agent.has_version else "" for agent in agents])
        self._time_formats = np.array([agent.time_format for agent in agents])
        self._offsets_ms = np.array([one.utc_offset_minutes for one in world.workspaces], dtype=np.int64) * MINUTE_MS
        self._offset_texts = text_table([_offset_text(one.utc_offset_minutes) for one in world.workspaces])
        self._workspaces = text_table([f',"workspace_id":"{one.name}"' for one in world.workspaces])
        self._environments = text_table([f',"environment":"{name}"' for name, _ in catalogue.ENVIRONMENTS])
        self._agents = text_table(
            [
                f',"service":"{agent.archetype.service}","source":"{agent.source}","agent":"{agent.archetype.name}","session_id":"ses_'
                for agent in agents
            ]
        )
        self._routes = text_table([f'","route":"{route}","trace_id":"' for route in world.routes])
        self._models = text_table(["", *(_model_text(provider, model) for provider, model, _ in catalogue.SPELLINGS)])
        self._tools = text_table(["", *(f',"tool_name":"{tool.name}"' for tool in catalogue.TOOLS)])
        self._statuses = text_table(["", *(f',"status":"{name}"' for name in catalogue.STATUSES[1:])])
        self._errors = text_table(["", *(f',"error_type":"{name}"' for name in catalogue.ERROR_TYPES[1:])])
        self._is_money_text = np.array([agent.is_money_text for agent in agents])
        self._contexts = text_table(
            [f',"context":{{"sdk":"{_sdk(number)}"' for number in range(len(agents))]
        )
        self._business = text_table(["", *(f',"name":"{name}"' for name in catalogue.BUSINESS_EVENTS)])

    def encode(self, rows: Rows) -> bytes:
        """The rows as JSON lines, each ended by a newline, in the order given."""
        stripes = (self._encode_stripe(rows[start : start + _STRIPE]) for start in range(0, len(rows), _STRIPE))
        return b"".join(stripes)

    def event_ids(self, rows: Rows) -> Text:
        """The rows' event ids as text, shape (rows, 36)."""
        numbers = rows["event_no"].copy()
        high = mix_words(self._salts[0], numbers) & np.uint64(0xFFFFFFFFFFFF0FFF) | np.uint64(0x4000)
        low = mix_words(self._salts[1], numbers) & np.uint64(0x3FFFFFFFFFFFFFFF) | np.uint64(1 << 63)
        first, second = _hex(high), _hex(low)
        out = np.full((len(rows), 36), 45, dtype=np.uint8)
        out[:, 0:8], out[:, 9:13], out[:, 14:18] = first[:, :8], first[:, 8:12], first[:, 12:]
        out[:, 19:23], out[:, 24:36] = second[:, :4], second[:, 4:]
        return out

    def _encode_stripe(self, rows: Rows) -> bytes:
        parts: list[Text | bytes] = [b'{"event_id":"', self.event_ids(rows)]
        agent = rows["agent"].astype(np.int64)
        parts += [self._event_types[rows["event_type"]], self._versions[agent], *self._times(rows, agent)]
        parts += [self._workspaces[rows["workspace"]], self._environments[rows["environment"]], self._agents[agent]]
        parts += [_hex(self._word(2, rows["session"])), b'","run_id":"run_', _hex(self._word(3, rows["run_no"]))]
        parts += [b'","actor_id":"', _hex(self._word(4, rows["actor"]))]
        parts += [self._routes[rows["route"]], _hex(self._word(6, rows["run_no"])), _hex(self._word(7, rows["run_no"]))]
        parts += [b'","span_id":"', _hex(self._word(8, rows["event_no"])), b'"']
        parts += [*self._parents(rows), self._models[rows["model"] + 1]]
        for name in ("input", "output", "cache_read", "cache_write", "reasoning"):
            parts += _number(f"{name}_tokens", rows[name], 3)
        parts += [*self._prompts(rows), *_milliseconds("time_to_first_token_ms", rows["ttft_us"])]
        parts += [self._tools[rows["tool"] + 1], self._statuses[rows["status"]], self._errors[rows["error"]]]
        parts += _milliseconds("latency_ms", rows["latency_us"])
        for name, column in (("unit_cost_input", "unit_input"), ("unit_cost_output", "unit_output"), ("cost_usd", "cost")):
            parts += self._money(name, rows[column], agent)
        parts += [*self._context(rows, agent), b"}}\n"]
        return _squeeze(parts, len(rows))

    def _word(self, salt: int, numbers: Words) -> Words:
        return mix_words(self._salts[salt], numbers)

    def _times(self, rows: Rows, agent: Ints) -> list[Text | bytes]:
        formats = self._time_formats[agent]
        offset_ms = np.where(formats == 1, self._offsets_ms[rows["workspace"]], 0)
        at_ms = rows["at_ms"] + offset_ms
        day, within = np.divmod(at_ms, DAY_MS)
        days, which = np.unique(day, return_inverse=True)
        dates = text_table([datetime.fromtimestamp(int(one) * 86_400, UTC).strftime('"%Y-%m-%dT') for one in days])
        second, millisecond = np.divmod(within, 1000)
        minute, second = np.divmod(second, 60)
        hour, minute = np.divmod(minute, 60)
        clock = np.empty((len(rows), 12), dtype=np.uint8)
        clock[:, 0:2], clock[:, 3:5], clock[:, 6:8] = _FULL[hour, 2:], _FULL[minute, 2:], _FULL[second, 2:]
        clock[:, 9:12] = _FULL[millisecond, 1:]
        clock[:, 2] = clock[:, 5] = 58
        clock[:, 8] = 46
        suffix = np.where((formats == 1)[:, None], self._offset_texts[rows["workspace"]], text_table(["Z"])[0, 0] * _FIRST_OF_SIX)
        stamp = np.concatenate([dates[which], clock, suffix, np.full((len(rows), 1), 34, dtype=np.uint8)], axis=1)
        is_number = formats == 2
        if is_number.any():
            stamp[is_number] = 0
            stamp[is_number, :16] = _digits(rows["at_ms"][is_number], 4)
        return [b',"occurred_at":', stamp]

    def _parents(self, rows: Rows) -> list[Text | bytes]:
        parents = rows["parent_no"]
        return _optional('"parent_span_id":"', _hex(self._word(8, parents)), '"', parents > 0)

    def _prompts(self, rows: Rows) -> list[Text | bytes]:
        prompts = rows["prompt"].astype(np.int64)
        digest = _hex(self._word(9, prompts.astype(np.uint64)))
        return _optional('"prompt_hash":"', digest, '"', prompts >= 0)

    def _money(self, name: str, values: Ints, agent: Ints) -> list[Text | bytes]:
        """Picodollars as a decimal with 12 places, as a number or as text as the agent's producer does it."""
        is_there = values >= 0
        if not is_there.any():
            return []
        whole, fraction = np.divmod(np.maximum(values, 0), 10**12)
        places = np.concatenate([_FULL[fraction // 10**8], _FULL[fraction // 10**4 % 10**4], _FULL[fraction % 10**4]], axis=1)
        quote = np.where(self._is_money_text[agent], 34, 0).astype(np.uint8)[:, None]
        dot = np.full((len(values), 1), 46, dtype=np.uint8)
        digits = np.concatenate([quote, _digits(whole, 2), dot, places, quote], axis=1)
        return _optional(f'"{name}":', digits, "", is_there)

    def _context(self, rows: Rows, agent: Ints) -> list[Text | bytes]:
        step = rows["step"].astype(np.int64)
        attempt = rows["attempt"].astype(np.int64)
        amount = rows["amount"].astype(np.int64)
        return [
            self._contexts[agent],
            *_number("step", step, 2),
            *_number("attempt", attempt, 1),
            self._business[rows["business"] + 1],
            *_number("amount_cents", amount, 3),
        ]


_FIRST_OF_SIX = np.array([1, 0, 0, 0, 0, 0], dtype=np.uint8)


def _optional(before: str, body: Text, after: str, is_there: npt.NDArray[np.bool_]) -> list[Text | bytes]:
    """A field that vanishes where `is_there` is false."""
    mask = is_there.astype(np.uint8)[:, None]
    head = np.frombuffer(f",{before}".encode(), dtype=np.uint8)
    parts: list[Text | bytes] = [head * mask, body * mask]
    if after:
        parts.append(np.frombuffer(after.encode(), dtype=np.uint8) * mask)
    return parts


def _number(name: str, values: Ints, groups: int) -> list[Text | bytes]:
    is_there = values >= 0
    if not is_there.any():
        return []
    return _optional(f'"{name}":', _digits(np.maximum(values, 0), groups), "", is_there)


def _milliseconds(name: str, values_us: Ints) -> list[Text | bytes]:
    """Microseconds as milliseconds with three places."""
    is_there = values_us >= 0
    if not is_there.any():
        return []
    whole, fraction = np.divmod(np.maximum(values_us, 0), 1000)
    places = _FULL[fraction].copy()
    places[:, 0] = 46
    return _optional(f'"{name}":', np.concatenate([_digits(whole, 3), places], axis=1), "", is_there)


def _squeeze(parts: list[Text | bytes], count: int) -> bytes:
    widths = [len(part) if isinstance(part, bytes) else part.shape[1] for part in parts]
    matrix = np.empty((count, sum(widths)), dtype=np.uint8)
    at = 0
    for part, width in zip(parts, widths, strict=True):
        matrix[:, at : at + width] = np.frombuffer(part, dtype=np.uint8) if isinstance(part, bytes) else part
        at += width
    return matrix.tobytes().translate(None, b"\0")


def _model_text(provider: str, model: str) -> str:
    return (f',"provider":"{provider}"' if provider else "") + f',"model":"{model}"'


def _offset_text(minutes: int) -> str:
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def _sdk(number: int) -> str:
    return f"{1 + number % 2}.{number * 7 % 13}.{number * 5 % 9}"
