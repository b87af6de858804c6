"""Rows to JSON lines, thousands at a time.

Every field is written into a matrix of bytes at its widest, zero where it is shorter or missing, and then the zeros
are squeezed out of the whole matrix: no Python object an event, and no dependence on a library's float formatting. A
field's text carries its comma and key, so that a missing one vanishes. Measured on one core: docs/simulator.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Sparse:
    """Text of some rows only; the others have none."""

    where: Ints
    text: Text


Part = Text | Sparse | bytes


def text_table(texts: Sequence[str]) -> Text:
    """Texts as rows of bytes, padded with zeros to the longest; shape (texts, width)."""
    encoded = [text.encode() for text in texts]
    width = max(1, *map(len, encoded))
    return np.frombuffer(b"".join(text.ljust(width, b"\0") for text in encoded), dtype=np.uint8).reshape(-1, width)


# Four digits, or two of hex, are looked up as one machine word: ten times as fast as rows of bytes.
_FULL = text_table([f"{number:04d}" for number in range(10_000)]).view(np.uint32).ravel()
_LEADING = (
    text_table(["\0\0\0\0", *(str(number).rjust(4, "\0") for number in range(1, 10_000))]).view(np.uint32).ravel()
)
_HEX = text_table([f"{number:02x}" for number in range(256)]).view(np.uint16).ravel()


def _digits(values: Ints, groups: int) -> Text:
    """Decimal digits without leading zeros, up to 4 * groups of them, shape (values, 4 * groups)."""
    out = np.empty((len(values), groups), dtype=np.uint32)
    rest = values
    for group in range(groups - 1, -1, -1):
        above = rest // 10_000
        low = rest - above * 10_000
        out[:, group] = np.where(above > 0, _FULL[low], _LEADING[low])
        rest = above
    text = out.view(np.uint8)
    text[values == 0, -1] = 48
    return text


def _hex(words: Words) -> Text:
    """16 hex digits of each word, shape (words, 16)."""
    return _HEX[words.astype(">u8").view(np.uint8)].view(np.uint8).reshape(-1, 16)


class Encoder:
    """Turns rows of one world into JSON lines; holds its text tables and no state between calls."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._salts = [mix(world.config.seed, 20, purpose) for purpose in range(12)]
        agents = world.agents
        self.keys = tuple(workspace.name.encode() for workspace in world.workspaces)
        self._event_types = text_table([f'","event_type":"{name}"' for name in catalogue.EVENT_TYPES])
        self._versions = text_table([',"schema_version":1' if agent.has_version else "" for agent in agents])
        self._time_formats = np.array([agent.time_format for agent in agents])
        self._offsets_ms = np.array([one.utc_offset_minutes for one in world.workspaces], dtype=np.int64) * MINUTE_MS
        # The last one is for producers that write UTC.
        offsets = [_offset_text(one.utc_offset_minutes) for one in world.workspaces]
        self._offset_texts = text_table([f'{offset}"' for offset in (*offsets, "Z")])
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
        self._contexts = text_table([f',"context":{{"sdk":"{_sdk(number)}"' for number in range(len(agents))])
        self._business = text_table(["", *(f',"outcome":"{name}"' for name in catalogue.BUSINESS_EVENTS)])

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
        parts: list[Part] = [b'{"event_id":"', self.event_ids(rows)]
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
        for name, column in (
            ("unit_cost_input", "unit_input"),
            ("unit_cost_output", "unit_output"),
            ("cost_usd", "cost"),
        ):
            parts += self._money(name, rows[column], agent)
        parts += [*self._context(rows, agent), b"}}\n"]
        return _squeeze(parts, len(rows))

    def _word(self, salt: int, numbers: Words) -> Words:
        return mix_words(self._salts[salt], numbers)

    def _times(self, rows: Rows, agent: Ints) -> list[Part]:
        formats = self._time_formats[agent]
        at_ms = rows["at_ms"] + np.where(formats == 1, self._offsets_ms[rows["workspace"]], 0)
        day, within = np.divmod(at_ms, DAY_MS)
        days, which = np.unique(day, return_inverse=True)
        dates = text_table([datetime.fromtimestamp(int(one) * 86_400, UTC).strftime('"%Y-%m-%dT') for one in days])
        second, millisecond = np.divmod(within, 1000)
        minute, second = np.divmod(second, 60)
        hour, minute = np.divmod(minute, 60)
        clock = np.empty((len(rows), 12), dtype=np.uint8)
        for at, number in ((0, hour), (3, minute), (6, second)):
            clock[:, at : at + 2] = _four_digits(number)[:, 2:]
        clock[:, 9:12] = _four_digits(millisecond)[:, 1:]
        clock[:, 2] = clock[:, 5] = ord(":")
        clock[:, 8] = ord(".")
        zone = np.where(formats == 1, rows["workspace"], len(self._offset_texts) - 1)
        stamp = np.concatenate([dates[which], clock, self._offset_texts[zone]], axis=1)
        is_number = formats == 2
        if is_number.any():
            stamp[is_number] = 0
            stamp[is_number, :16] = _digits(rows["at_ms"][is_number], 4)
        return [b',"occurred_at":', stamp]

    def _parents(self, rows: Rows) -> list[Part]:
        where = np.flatnonzero(rows["parent_no"] > 0)
        return _field("parent_span_id", where, _quoted(_hex(self._word(8, rows["parent_no"][where]))))

    def _prompts(self, rows: Rows) -> list[Part]:
        where = np.flatnonzero(rows["prompt"] >= 0)
        return _field("prompt_hash", where, _quoted(_hex(self._word(9, rows["prompt"][where].astype(np.uint64)))))

    def _money(self, name: str, values: Ints, agent: Ints) -> list[Part]:
        """Picodollars as a decimal with 12 places, as a number or as text as the agent's producer does it."""
        where = np.flatnonzero(values >= 0)
        whole, fraction = np.divmod(values[where], 10**12)
        groups = (fraction // 10**8, fraction // 10**4 % 10**4, fraction % 10**4)
        quote = np.where(self._is_money_text[agent[where]], ord('"'), 0).astype(np.uint8)[:, None]
        dot = np.full((len(where), 1), ord("."), dtype=np.uint8)
        text = np.concatenate([quote, _digits(whole, 2), dot, *map(_four_digits, groups), quote], axis=1)
        return _field(name, where, text)

    def _context(self, rows: Rows, agent: Ints) -> list[Part]:
        return [
            self._contexts[agent],
            *_number("step", rows["step"].astype(np.int64), 1),
            *_number("attempt", rows["attempt"].astype(np.int64), 1),
            self._business[rows["business"] + 1],
            *_number("amount_cents", rows["amount"].astype(np.int64), 3),
        ]


def _four_digits(numbers: Ints) -> Text:
    return _FULL[numbers].view(np.uint8).reshape(-1, 4)


def _quoted(text: Text) -> Text:
    quote = np.full((len(text), 1), ord('"'), dtype=np.uint8)
    return np.concatenate([quote, text, quote], axis=1)


def _field(name: str, where: Ints, values: Text) -> list[Part]:
    """`,"name":value` in the rows `where`; nothing at all where no row has it."""
    if not len(where):
        return []
    head = np.frombuffer(f',"{name}":'.encode(), dtype=np.uint8)
    return [Sparse(where, np.concatenate([np.broadcast_to(head, (len(where), len(head))), values], axis=1))]


def _number(name: str, values: Ints, groups: int) -> list[Part]:
    where = np.flatnonzero(values >= 0)
    return _field(name, where, _digits(values[where], groups))


def _milliseconds(name: str, values_us: Ints) -> list[Part]:
    """Microseconds as milliseconds with three places."""
    where = np.flatnonzero(values_us >= 0)
    whole, fraction = np.divmod(values_us[where], 1000)
    places = _four_digits(fraction)
    places[:, 0] = ord(".")
    return _field(name, where, np.concatenate([_digits(whole, 3), places], axis=1))


def _squeeze(parts: list[Part], count: int) -> bytes:
    """The parts side by side in every row, without their zeros."""
    widths = [len(part) if isinstance(part, bytes) else _text_of(part).shape[1] for part in parts]
    matrix = np.zeros((count, sum(widths)), dtype=np.uint8)
    at = 0
    for part, width in zip(parts, widths, strict=True):
        columns = slice(at, at + width)
        if isinstance(part, bytes):
            matrix[:, columns] = np.frombuffer(part, dtype=np.uint8)
        elif isinstance(part, Sparse):
            matrix[part.where, columns] = part.text
        else:
            matrix[:, columns] = part
        at += width
    flat = matrix.ravel()
    squeezed: Text = flat[flat != 0]
    return squeezed.tobytes()


def _text_of(part: Text | Sparse) -> Text:
    return part.text if isinstance(part, Sparse) else part


def _model_text(provider: str, model: str) -> str:
    return (f',"provider":"{provider}"' if provider else "") + f',"model":"{model}"'


def _offset_text(minutes: int) -> str:
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def _sdk(number: int) -> str:
    return f"{1 + number % 2}.{number * 7 % 13}.{number * 5 % 9}"
