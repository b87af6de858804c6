"""The project's pricing SQL costs any call exactly what the rule in Python does, to the last of twelve decimals."""

import csv
import json
import random
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TypeVar

import pytest

from ingest.prices import seed
from ingest.prices.reference import Call, price, price_by_catalogue
from ingest.prices.tariffs import STANDARD, Cell, Key, Period, Place, Rates, Timelines
from tests.integration.prices.sql import ROOT, Row, build, literal, load_seed, load_seeds, render, run

T = TypeVar("T")
CALLS = 4_000
PARTS = ("input_cost_usd", "cache_read_cost_usd", "cache_write_cost_usd", "output_cost_usd", "unsplit_cost_usd")
CATALOGUE = seed.load(ROOT / "seeds" / seed.FILE)
TOKENS = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")
EVENTS = """
create table events
(
    event_id UInt32, event_type String, workspace_id String, occurred_at DateTime64(3, 'UTC'), reported_provider String,
    reported_model String, input_tokens Nullable(UInt64), cache_read_tokens Nullable(UInt64),
    cache_write_tokens Nullable(UInt64), output_tokens Nullable(UInt64), unit_cost_input_usd Nullable(Decimal(18, 12)),
    unit_cost_output_usd Nullable(Decimal(18, 12)), reported_cost_usd Nullable(Decimal(18, 12)), context String
) engine = Memory
"""


@dataclass(frozen=True)
class Negotiated:
    """One row of the overrides: whose (empty: everybody's), of what, in which tier and days, USD a million tokens."""

    workspace: str
    provider: str
    model: str
    tier: str
    start: date
    end: date | None
    rate: Decimal

    def period(self) -> Period:
        rates = Rates(input=self.rate, cache_read=self.rate / 10, output=self.rate * 4)
        return Period(self.start, self.end, (Cell(Place(), rates),), f"override-{self.rate}")


NEGOTIATED = (
    Negotiated("acme", "openai", "gpt-4o", "*", date(2026, 3, 1), date(2026, 9, 1), Decimal("1.5")),
    Negotiated("acme", "openai", "gpt-4o", "*", date(2026, 9, 1), None, Decimal("1.25")),
    Negotiated("", "openai", "gpt-4o", "standard", date(2026, 1, 1), None, Decimal("2.1")),
    Negotiated("", "anthropic", "claude-sonnet-4-5", "batch", date(2026, 1, 1), None, Decimal("1.1")),
    Negotiated("acme", "in-house", "house-router-7b", "*", date(2026, 1, 1), None, Decimal("0.05")),
)


def prices_of(workspace: str) -> list[Timelines]:
    """In order of precedence: the workspace's own prices, everybody's, the catalogue."""
    lists: list[Timelines] = []
    for whose in (workspace, ""):
        timelines: Timelines = {}
        for row in NEGOTIATED:
            if row.workspace == whose:
                key = Key(row.provider, row.model, row.tier)
                timelines[key] = (*timelines.get(key, ()), row.period())
        lists.append(timelines)
    return [*lists, CATALOGUE]


def write_overrides(file: Path) -> Path:
    columns = (ROOT / "seeds" / "model_price_overrides.csv").read_text().strip().split(",")
    with file.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, columns, restval="")
        writer.writeheader()
        for row in NEGOTIATED:
            rates = row.period().tariff[0].rates
            writer.writerow({
                "workspace_id": row.workspace, "provider": row.provider, "model": row.model,
                "service_tier": "" if row.tier == "*" else row.tier, "valid_from": row.start,
                "valid_to": row.end or "", "input_usd_per_mtok": rates.input,
                "cache_read_usd_per_mtok": rates.cache_read, "output_usd_per_mtok": rates.output,
                "source": "contract", "version": row.rate,
            })  # fmt: skip
    return file


@cache
def calls() -> tuple[tuple[str, Call], ...]:
    """(workspace, call), drawn so that every branch of the rule and every kind of price is met often."""
    draw = random.Random(11)
    keys = sorted(CATALOGUE)
    rare = [
        key for key in keys if key.service_tier != STANDARD or len(CATALOGUE[key]) + len(CATALOGUE[key][0].tariff) > 2
    ]
    known = [("openai", "gpt-4o"), ("anthropic", "claude-sonnet-4-5"), ("azure", "gpt-4.1")]
    known += [("in-house", "house-router-7b"), ("nobody", "")]
    return tuple(_call(draw, draw.choice((keys, rare, rare)), known) for _ in range(CALLS))


def _call(draw: random.Random, keys: list[Key], known: list[tuple[str, str]]) -> tuple[str, Call]:
    key = draw.choice(keys)
    provider, model = draw.choice(known) if draw.random() < 0.3 else (key.provider, key.model.lower())
    hours = draw.choice([0, 1, 4, 6, 10, 12, 16]) * 3600 + draw.choice([0, 1800, draw.randrange(3600)])
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=draw.randrange(400), seconds=hours)
    starts = [*(one.start for one in CATALOGUE[key]), *(one.start for one in NEGOTIATED)]
    if draw.random() < 0.3:
        at = datetime.combine(draw.choice([start for start in starts if start.year == 2026]), datetime.min.time(), UTC)
    at += timedelta(milliseconds=draw.choice([-1, 0, 0, draw.randrange(1000)]))
    read, write, rest = (draw.choice([0, draw.randrange(5_000), draw.randrange(300_000)]) for _ in range(3))
    total = draw.choice([read + write + rest, 128_000, 200_000, 200_001, 272_000])
    return draw.choice(["acme", "other"]), Call(
        at=at,
        provider=provider,
        model=model,
        service_tier=draw.choice([key.service_tier, STANDARD, "batch"]),
        input_tokens=_maybe(draw, total, 0.95),
        cache_read_tokens=_maybe(draw, read, 0.7),
        cache_write_tokens=_maybe(draw, write, 0.7),
        cache_write_1h_tokens=_maybe(draw, draw.randrange(write + 1), 0.3),
        output_tokens=_maybe(draw, draw.choice([0, draw.randrange(9_000)]), 0.95),
        reported_usd=_maybe(draw, Decimal(draw.randrange(10**9)) / 10**10, 0.1),
        unit_input_usd=_maybe(draw, Decimal(draw.randrange(10**6)) / 10**12, 0.15),
        unit_output_usd=_maybe(draw, Decimal(draw.randrange(10**6)) / 10**12, 0.15),
    )


def _maybe(draw: random.Random, value: T, share: float) -> T | None:
    return value if draw.random() < share else None


def row_of(number: int, workspace: str, call: Call) -> str:
    context: dict[str, object] = {} if call.service_tier == STANDARD else {"service_tier": call.service_tier}
    if call.cache_write_1h_tokens is not None:
        context["cache_write_1h_tokens"] = call.cache_write_1h_tokens
    values = [
        number, "llm_call", workspace, f"{call.at:%Y-%m-%d %H:%M:%S.%f}"[:-3], call.provider, call.model,
        *(getattr(call, name) for name in TOKENS), call.unit_input_usd, call.unit_output_usd, call.reported_usd,
        json.dumps(context),
    ]  # fmt: skip
    return f"({', '.join(map(literal, values))})"


@pytest.fixture(scope="module")
def priced(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    overrides = write_overrides(tmp_path_factory.mktemp("seeds") / "overrides.csv")
    rows = [row_of(number, workspace, call) for number, (workspace, call) in enumerate(calls())]
    (found,) = run([
        *load_seeds(),
            *load_seed("model_price_overrides", overrides),
        EVENTS,
        f"insert into events values {', '.join(rows)}",
        "create table int_called_models engine = Memory as select reported_provider, reported_model from events",
        build("int_model_name_forms"),
        build("int_model_names"),
        build("int_model_prices"),
        render("select * from ({{ price_events('events') }}) order by event_id"),
    ])  # fmt: skip
    return found


def decimals(row: Row, *names: str) -> tuple[Decimal | None, ...]:
    return tuple(None if row[name] is None else Decimal(str(row[name])) for name in names)


def as_resolved(row: Row, call: Call) -> Call:
    """The call under the names that SQL found for it, which another test judges. Azure has OpenAI's standard prices."""
    tier = call.service_tier if row["provider"] == row["price_provider"] else STANDARD
    return replace(call, provider=str(row["price_provider"]), model=str(row["price_model"]), service_tier=tier)


def test_every_call_has_the_cost_the_source_and_the_parts_that_the_rule_gives(priced: list[Row]) -> None:
    assert len(priced) == CALLS
    wrong = []
    for row, (workspace, call) in zip(priced, calls(), strict=True):
        theirs = price(as_resolved(row, call), prices_of(workspace))
        said = (row["cost_source"], row["unpriced_reason"], row["price_version"], *decimals(row, "cost_usd", *PARTS))
        parts = theirs.parts or (None,) * len(PARTS)
        if said != (theirs.source, theirs.reason, theirs.price_version, theirs.usd, *parts):
            wrong.append((call, said, theirs))
    assert wrong == []


def test_what_the_catalogue_makes_of_a_call_is_there_whatever_priced_it(priced: list[Row]) -> None:
    for row, (workspace, call) in zip(priced, calls(), strict=True):
        theirs = price_by_catalogue(as_resolved(row, call), prices_of(workspace))
        assert decimals(row, "catalogue_cost_usd") == (theirs.usd,)


def test_the_calls_meet_every_source_reason_and_kind_of_price(priced: list[Row]) -> None:
    assert {row["cost_source"] for row in priced} == {"reported", "unit_cost", "catalogue", "unpriced"}
    reasons = {"", "no_model", "no_price", "no_tokens", "no_rate", "negative_remainder"}
    assert {row["unpriced_reason"] for row in priced} == reasons
    versions = {str(row["price_version"]) for row in priced}
    assert {f"override-{row.rate}" for row in NEGOTIATED} <= versions
    assert sum(version.startswith("genai-prices-") for version in versions) > 300
