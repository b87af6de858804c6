"""The rule of cost, held against genai-prices' own for any call, and case by case where it has no opinion."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, PriceContext, Provider, Usage
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.prices.package import read_package
from ingest.prices.reference import Call, Cost, price, price_by_catalogue
from ingest.prices.tariffs import ALWAYS, SERVICE_TIERS, STANDARD, Cell, Key, Period, Place, Rates, Timelines

CATALOGUE = read_package()
SOLD = [
    (provider, model)
    for provider in get_snapshot().providers
    for model in provider.models
    if Key(provider.id, model.id, STANDARD) in CATALOGUE.timelines
    and f"{provider.id} {model.id}" not in CATALOGUE.rounded
]
# Those that change with time, size or tier are few among thousands, and the ones that can go wrong.
CHANGING = [
    (provider, model)
    for provider, model in SOLD
    if model.price_variants or len(CATALOGUE.timelines[Key(provider.id, model.id, STANDARD)][0].tariff) > 1
    or len(CATALOGUE.timelines[Key(provider.id, model.id, STANDARD)]) > 1
]  # fmt: skip
SELECTORS = {"batch": ("processing",), "fast": ("service_tier", "speed")}
"""Key of the package's request context that means a service tier, where it is not `service_tier`."""
AT = datetime(2026, 11, 1, 12, tzinfo=UTC)


@settings(max_examples=400, deadline=None)
@given(
    sold=st.one_of(st.sampled_from(CHANGING), st.sampled_from(SOLD)),
    day=st.dates(date(2024, 6, 1), date(2027, 3, 1)),
    second=st.one_of(st.integers(0, 86_399), st.sampled_from([0, 1799, 1800, 3600, 14_400, 59_399, 59_400])),
    counts=st.tuples(*[st.one_of(st.integers(0, 5_000), st.integers(0, 400_000))] * 5),
    tier=st.sampled_from(SERVICE_TIERS),
)
def test_any_call_costs_what_genai_prices_says(
    sold: tuple[Provider, ModelInfo], day: date, second: int, counts: tuple[int, ...], tier: str
) -> None:
    provider, model = sold
    at = datetime.combine(day, datetime.min.time(), UTC) + timedelta(seconds=second)
    _, read, write_5m, write_1h, output = counts
    call = Call(at, provider.id, model.id, tier, sum(counts[:4]), read, write_5m + write_1h, write_1h, output)
    ours = price_by_catalogue(call, [CATALOGUE.timelines])
    usage = Usage(
        input_tokens=call.input_tokens,
        cache_read_tokens=read,
        cache_write_tokens=call.cache_write_tokens,
        cache_write_1h_tokens=write_1h,
        output_tokens=output,
    )
    theirs = model.calc_price(usage, provider, genai_request_timestamp=at, price_context=context_of(model, tier))
    if ours.usd is None:  # no rate for a kind of token: theirs counts it as free
        assert ours.reason == "no_rate"
    else:
        assert ours.usd == theirs.total_price


def context_of(model: ModelInfo, tier: str) -> PriceContext | None:
    contexts: list[PriceContext] = [{selector: tier} for selector in SELECTORS.get(tier, ("service_tier",))]
    return next((one for one in contexts if any(one == variant.when for variant in model.price_variants or ())), None)


def prices(rates: Rates, tier: str = STANDARD, start: date = ALWAYS, version: str = "v") -> Timelines:
    return {Key("p", "m", tier): (Period(start, None, (Cell(Place(), rates),), version),)}


RATES = Rates(input=Decimal(2), output=Decimal(8))


CALL = Call(AT, "p", "m", input_tokens=10, output_tokens=5)


def cost(call: Call, rates: Rates = RATES) -> Cost:
    return price(call, [prices(rates)])


def test_cached_tokens_without_a_rate_of_their_own_cost_what_input_costs() -> None:
    assert cost(replace(CALL, input_tokens=1_000_000, cache_read_tokens=400_000, output_tokens=0)).usd == Decimal(2)


def test_what_the_producer_reports_goes_before_its_unit_costs_and_those_before_the_catalogue() -> None:
    half = replace(CALL, unit_input_usd=Decimal("0.001"))
    units = replace(half, unit_output_usd=Decimal("0.002"))
    assert cost(replace(units, reported_usd=Decimal(7))).source == "reported"
    assert cost(units).usd == Decimal("0.020")
    assert cost(half).source == "catalogue"


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (replace(CALL, output_tokens=None), "no_tokens"),
        (replace(CALL, input_tokens=None), "no_tokens"),
        (replace(CALL, cache_read_tokens=8, cache_write_tokens=3), "negative_remainder"),
        (replace(CALL, model="another"), "no_price"),
        (replace(CALL, model=""), "no_model"),
    ],
)
def test_what_cannot_be_priced_has_no_cost_rather_than_none(call: Call, reason: str) -> None:
    found = cost(call)
    assert (found.usd, found.source, found.reason) == (None, "unpriced", reason)


def test_a_kind_of_token_that_is_not_sold_leaves_the_call_unpriced_unless_there_are_none() -> None:
    embedding = Rates(input=Decimal("0.1"))
    assert cost(replace(CALL, output_tokens=None), embedding).usd == Decimal("0.000001")
    assert cost(CALL, embedding).reason == "no_rate"


def test_a_negotiated_price_goes_before_the_catalogue_from_its_first_day_and_in_its_tier() -> None:
    catalogue = prices(RATES) | prices(Rates(input=Decimal(1), output=Decimal(4)), tier="batch")
    own = prices(Rates(input=Decimal(5), output=Decimal(5)), start=AT.date(), version="own")
    call = replace(CALL, input_tokens=1_000_000, output_tokens=0)
    assert price(replace(call, at=AT - timedelta(days=1)), [own, catalogue]).usd == 2
    assert price(call, [own, catalogue]).price_version == "own"
    assert price(replace(call, service_tier="batch"), [own, catalogue]).usd == 1
    assert price(replace(call, service_tier="flex"), [own, catalogue]).usd == 5
