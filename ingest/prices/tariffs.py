"""What a model costs: rates, the cells they hold in, and the periods they are valid for.

A tariff is all cells of one period: one cell a part of the day and a range of prompt sizes. Rates are USD a million
tokens (a request: USD a call), prompt sizes tokens, times seconds of the UTC day; every range is half-open. A rate that
is None is not sold apart: cached tokens then cost what input costs, and output without a rate has no price.
"""

import hashlib
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from typing import NamedTuple

ALWAYS = date(1970, 1, 1)
"""Start of a price of which no start is known."""
DAY_S = 86_400
STANDARD = "standard"
SERVICE_TIERS = (STANDARD, "batch", "flex", "priority", "fast")
"""How a call was served, where providers sell the same model at several prices."""


@dataclass(frozen=True)
class Rates:
    """USD a million tokens of each kind, and USD a request."""

    input: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    output: Decimal | None = None
    request: Decimal | None = None


RATE_NAMES = tuple(field.name for field in fields(Rates))


@dataclass(frozen=True, order=True)
class Place:
    """Where rates hold: seconds of the UTC day and tokens of the whole prompt, both half-open (None: no end)."""

    daily_from_s: int = 0
    daily_to_s: int = DAY_S
    prompt_from: int = 0
    prompt_to: int | None = None

    def holds(self, second: int, prompt_tokens: int) -> bool:
        """Whether a call at this second of the day with so large a prompt falls here."""
        return (
            self.daily_from_s <= second < self.daily_to_s
            and self.prompt_from <= prompt_tokens
            and (self.prompt_to is None or prompt_tokens < self.prompt_to)
        )


@dataclass(frozen=True)
class Cell:
    """The rates of one place, and what else the provider charges for there that an event has no count of."""

    place: Place
    rates: Rates
    not_included: tuple[str, ...] = ()


Tariff = tuple[Cell, ...]


class Key(NamedTuple):
    """What is sold: a model of a provider in a service tier; names as the catalogue writes them."""

    provider: str
    model: str
    service_tier: str

    def __str__(self) -> str:
        return f"{self.provider} {self.model}" + ("" if self.service_tier == STANDARD else f" ({self.service_tier})")


@dataclass(frozen=True)
class Period:
    """One tariff in [start, end), whole UTC days; end None is open. `version` is empty until the seed gives it one."""

    start: date
    end: date | None
    tariff: Tariff
    version: str = ""

    def holds(self, day: date) -> bool:
        """Whether the day lies in the period."""
        return self.start <= day and (self.end is None or day < self.end)


Timeline = tuple[Period, ...]
Timelines = dict[Key, Timeline]


def plain(amount: Decimal | None) -> str:
    """A rate as the seed writes it: no exponent, no trailing zeros; empty where there is none."""
    if amount is None:
        return ""
    return format(amount.normalize() + 0, "f")


def content_hash(key: Key, period: Period) -> str:
    """Eight digits that stand for a period's content: what is sold, since when, at which rates; not for its end."""
    lines = [*key, period.start.isoformat()]
    for cell in period.tariff:
        place = cell.place
        lines += [str(place.daily_from_s), str(place.daily_to_s), str(place.prompt_from), str(place.prompt_to)]
        lines += [plain(getattr(cell.rates, name)) for name in RATE_NAMES]
        lines += cell.not_included
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8]


def period_at(timeline: Timeline, day: date) -> Period | None:
    """The period that holds a day."""
    return next((period for period in timeline if period.holds(day)), None)
