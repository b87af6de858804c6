"""The package genai-prices as timelines of tariffs.

In: the package's bundled data. Out: a timeline for each model and service tier, and all that was left out, by name:
units that events have no count of (searches, audio, images), variants by route, models without a price of tokens. The
package itself is asked for its price at every instant at which one may change, so that its own rules (the last price in
force wins; hours of the day; tiers by the whole prompt, above their start) decide.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from importlib.metadata import version

from genai_prices import types as gp
from genai_prices.data_snapshot import DataSnapshot, get_snapshot

from ingest.errors import MeterhouseError
from ingest.prices.tariffs import (
    ALWAYS,
    DAY_S,
    SERVICE_TIERS,
    STANDARD,
    Cell,
    Key,
    Period,
    Place,
    Rates,
    Tariff,
    Timeline,
    Timelines,
)  # fmt: skip

PACKAGE = "genai-prices"
PER_TOKEN = {
    "input_mtok": "input",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_mtok": "output",
}
PER_REQUEST = "requests_kcount"
RATE_STEP = Decimal("0.000001")
"""Rates have at most 6 decimals a million tokens, so that a cost is exact in 12, which all money here has."""
SELECTORS = ("processing", "service_tier", "speed")
"""Keys of the package's request context that mean a service tier. A route or a search type is not one."""

_Price = Decimal | gp.TieredPrices


@dataclass
class Catalogue:
    """What the package gives. `left_out` and `rounded` are for people: what the seed does not say, and why."""

    version: str
    timelines: Timelines = field(default_factory=dict)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    """Reason to `provider model`, of what is not in the seed at all."""
    uncounted: dict[str, int] = field(default_factory=dict)
    """Unit to the number of models that charge for it; their rows name it in not_included."""
    rounded: list[str] = field(default_factory=list)

    def leave_out(self, reason: str, what: str) -> None:
        """Remember something that is not in the seed."""
        self.left_out.setdefault(reason, []).append(what)


def read_package(snapshot: DataSnapshot | None = None) -> Catalogue:
    """All prices of the installed package; a snapshot of other data is for tests."""
    catalogue = Catalogue(version=f"{PACKAGE}-{version(PACKAGE)}")
    for provider in (snapshot or get_snapshot()).providers:
        for model in provider.models:
            _add_model(catalogue, provider.id, model)
    return catalogue


def _add_model(catalogue: Catalogue, provider: str, model: gp.ModelInfo) -> None:
    name = f"{provider} {model.id}"
    tiers: dict[str, list[gp.PriceVariant]] = {STANDARD: []}
    for variant in model.price_variants or ():
        tier = _service_tier(variant)
        if tier is None:
            catalogue.leave_out("variant by " + ", ".join(sorted(variant.when)), name)
        elif tier != STANDARD:
            tiers.setdefault(tier, []).append(variant)
    seen: set[str] = set()
    for tier, variants in tiers.items():
        contexts = {tuple(sorted(variant.when.items())) for variant in variants}
        if len(contexts) > 1:
            raise MeterhouseError(
                f"{PACKAGE} {catalogue.version}: {name} has two kinds of {tier} price, {sorted(contexts)}; "
                "ingest/prices/package.py must be told which of them an event means"
            )
        timeline = _timeline(catalogue, name, model, variants)
        if timeline:
            catalogue.timelines[Key(provider, model.id, tier)] = timeline
            seen |= {unit for period in timeline for cell in period.tariff for unit in cell.not_included}
        elif tier == STANDARD:
            catalogue.leave_out("no price of tokens", name)
            return
    for unit in seen:
        catalogue.uncounted[unit] = catalogue.uncounted.get(unit, 0) + 1


def _service_tier(variant: gp.PriceVariant) -> str | None:
    if len(variant.when) != 1:
        return None
    ((selector, value),) = variant.when.items()
    if selector not in SELECTORS:
        return None
    tier = STANDARD if value in ("default", STANDARD) else value
    return tier if tier in SERVICE_TIERS else None


def _timeline(catalogue: Catalogue, name: str, model: gp.ModelInfo, variants: list[gp.PriceVariant]) -> Timeline:
    conditional = model.prices if isinstance(model.prices, list) else []
    possible = [*(one.constraint for one in conditional), *(one.constraint for one in variants)]
    constraints = [constraint for constraint in possible if constraint is not None]
    days = sorted({ALWAYS, *(one.start_date for one in constraints if isinstance(one, gp.StartDateConstraint))})
    times = [one for one in constraints if isinstance(one, gp.TimeOfDateConstraint)]
    seconds = sorted({0, *(_second(at) for one in times for at in (one.start_time, one.end_time))})
    context = variants[0].when if variants else None
    periods: list[Period] = []
    for day, next_day in zip(days, [*days[1:], None], strict=True):
        cells: list[Cell] = []
        for second, until in zip(seconds, [*seconds[1:], DAY_S], strict=True):
            at = datetime.combine(day, time(), UTC) + timedelta(seconds=second)
            if variants and not any(one.constraint is None or one.constraint.active(at) for one in variants):
                continue
            prices = {key: value for key, value in model.get_prices(at, context).__dict__.items() if value is not None}
            if not prices and model.id.endswith(":free"):
                prices = {"input_mtok": Decimal(0), "output_mtok": Decimal(0)}
            cells += _cells(catalogue, name, prices, second, until)
        _append(periods, Period(day, next_day, _without_seams(cells)))
    return tuple(period for period in periods if period.tariff)


def _cells(catalogue: Catalogue, name: str, prices: dict[str, _Price], second: int, until: int) -> list[Cell]:
    known = {key: value for key, value in prices.items() if key in PER_TOKEN or key == PER_REQUEST}
    if not known:
        return []
    # "Above 200,000" for a whole number of tokens is "from 200,001".
    starts = sorted({0, *(t.start + 1 for p in known.values() if isinstance(p, gp.TieredPrices) for t in p.tiers)})
    not_included = tuple(sorted(set(prices) - set(known)))
    cells = []
    for start, end in zip(starts, [*starts[1:], None], strict=True):
        rates = {rate: _rate(catalogue, name, known[key], start) for key, rate in PER_TOKEN.items() if key in known}
        if PER_REQUEST in known:
            rates["request"] = _rate(catalogue, name, known[PER_REQUEST], start) / 1000
        cells.append(Cell(Place(second, until, start, end), Rates(**rates), not_included))
    return cells


def _rate(catalogue: Catalogue, name: str, price: _Price, prompt_tokens: int) -> Decimal:
    if isinstance(price, gp.TieredPrices):
        price = next((tier.price for tier in reversed(price.tiers) if prompt_tokens > tier.start), price.base)
    rate = price.quantize(RATE_STEP, ROUND_HALF_EVEN)
    if rate != price and name not in catalogue.rounded:
        catalogue.rounded.append(name)
    return rate


def _without_seams(cells: list[Cell]) -> Tariff:
    """Cells in order, neighbours of the day with the same rates made one (a day without hours has one cell a size)."""
    merged: list[Cell] = []
    for cell in sorted(cells, key=lambda one: (one.place.prompt_from, one.place.daily_from_s)):
        last = merged[-1] if merged else None
        if (
            last is not None
            and (last.rates, last.not_included) == (cell.rates, cell.not_included)
            and last.place.prompt_from == cell.place.prompt_from
            and last.place.prompt_to == cell.place.prompt_to
            and last.place.daily_to_s == cell.place.daily_from_s
        ):
            place = last.place
            whole = Place(place.daily_from_s, cell.place.daily_to_s, place.prompt_from, place.prompt_to)
            merged[-1] = Cell(whole, cell.rates, cell.not_included)
        else:
            merged.append(cell)
    return tuple(merged)


def _append(periods: list[Period], period: Period) -> None:
    """Add a period, or lengthen the last one where nothing that is in the seed changed."""
    if periods and periods[-1].tariff == period.tariff:
        periods[-1] = Period(periods[-1].start, period.end, period.tariff)
    else:
        periods.append(period)


def _second(at: time) -> int:
    moment = datetime.combine(date(1970, 1, 2), at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    return moment.hour * 3600 + moment.minute * 60 + moment.second
