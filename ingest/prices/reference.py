"""The rule by which a call gets its cost, in plain Python: the check on the SQL of macros/pricing/, not used to bill.

In: a call with canonical names and prices in order of precedence (the workspace's own, everybody's, the catalogue).
Out: cost, source, price version and the parts, as exact Decimals in USD. A call without a price has the cost None and a
reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from ingest.prices.tariffs import STANDARD, Key, Rates, Timelines, period_at

ANY_TIER = "*"
ZERO = Decimal(0)
_MTOK = 1_000_000


@dataclass(frozen=True)
class Call:
    """What an event says of a model call; numbers are tokens and USD, None where it does not say."""

    at: datetime
    provider: str
    model: str
    service_tier: str = STANDARD
    input_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    output_tokens: int | None = None
    reported_usd: Decimal | None = None
    unit_input_usd: Decimal | None = None
    unit_output_usd: Decimal | None = None


@dataclass(frozen=True)
class Cost:
    """What the call cost. The parts, input, cache read, cache write, output and unsplit, sum to `usd`."""

    usd: Decimal | None
    source: str
    parts: tuple[Decimal, ...] = ()
    price_version: str = ""
    reason: str = ""


def price(call: Call, prices: Sequence[Timelines]) -> Cost:
    """The cost by the first rule that has one: reported, unit_cost, catalogue, else unpriced."""
    if call.reported_usd is not None:
        return Cost(call.reported_usd, "reported", (ZERO, ZERO, ZERO, ZERO, call.reported_usd))
    if call.unit_input_usd is not None and call.unit_output_usd is not None:
        used = (
            _usd(call.input_tokens, call.unit_input_usd * _MTOK),
            _usd(call.output_tokens, call.unit_output_usd * _MTOK),
        )
        if used[0] is not None and used[1] is not None:
            return Cost(used[0] + used[1], "unit_cost", (used[0], ZERO, ZERO, used[1], ZERO))
    return price_by_catalogue(call, prices)


def price_by_catalogue(call: Call, prices: Sequence[Timelines]) -> Cost:
    """The cost by the price in force when the call was made, whatever the event says of money."""
    read, write, write_1h = (
        count or 0 for count in (call.cache_read_tokens, call.cache_write_tokens, call.cache_write_1h_tokens)
    )
    uncached = None if call.input_tokens is None else call.input_tokens - read - write
    if (uncached is not None and uncached < 0) or write_1h > write:
        return Cost(None, "unpriced", reason="negative_remainder")
    if not call.model:
        return Cost(None, "unpriced", reason="no_model")
    found = _in_force(call, prices)
    if found is None:
        return Cost(None, "unpriced", reason="no_price")
    version, rates = found
    written = (
        _usd(write - write_1h, rates.cache_write, rates.input),
        _usd(write_1h, rates.cache_write_1h, rates.cache_write, rates.input),
    )
    parts = (
        _usd(uncached, rates.input),
        _usd(read, rates.cache_read, rates.input),
        None if written[0] is None or written[1] is None else written[0] + written[1],
        _usd(call.output_tokens, rates.output),
        rates.request or ZERO,
    )
    known = tuple(part for part in parts if part is not None)
    if len(known) < len(parts):
        has_counts = call.input_tokens is not None and call.output_tokens is not None
        return Cost(None, "unpriced", reason="no_rate" if has_counts else "no_tokens")
    return Cost(sum(known, ZERO), "catalogue", known, version)


def _in_force(call: Call, prices: Sequence[Timelines]) -> tuple[str, Rates] | None:
    """Version and rates: in the call's tier the most specific prices, else the most specific standard ones."""
    at = call.at.astimezone(UTC)
    second = at.hour * 3600 + at.minute * 60 + at.second
    for tier in (call.service_tier, STANDARD):
        for timelines in prices:
            for name in (tier, ANY_TIER):
                period = period_at(timelines.get(Key(call.provider, call.model, name), ()), at.date())
                for cell in period.tariff if period is not None else ():
                    if period is not None and cell.place.holds(second, call.input_tokens or 0):
                        return period.version, cell.rates
    return None


def _usd(tokens: int | None, *rates: Decimal | None) -> Decimal | None:
    """Tokens at the first rate there is; None where one of the two is missing and the other is not zero."""
    rate = next((one for one in rates if one is not None), None)
    if rate == 0 or tokens == 0 or (tokens is None and rate is None):
        return ZERO
    return None if tokens is None or rate is None else tokens * rate / _MTOK
