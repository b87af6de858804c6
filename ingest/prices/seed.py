"""seeds/model_prices.csv: one row a cell of a period, sorted, so that a change of price is a readable diff.

Reading checks what writing promised and raises MeterhouseError with the line: the columns, the numbers, each row's
content against the hash in its price_version (nobody edits a price in place), and that the rows of a model cover every
instant, every hour of the day and every size of prompt once. A tier other than standard may begin later than its model:
before that the standard price holds.
"""

import csv
import io
from collections.abc import Iterable
from datetime import date
from decimal import Decimal, InvalidOperation
from itertools import groupby
from pathlib import Path

from ingest.errors import MeterhouseError
from ingest.prices.tariffs import (
    ALWAYS,
    DAY_S,
    RATE_NAMES,
    SERVICE_TIERS,
    STANDARD,
    Cell,
    Key,
    Period,
    Place,
    Rates,
    Tariff,
    Timelines,
    content_hash,
    plain,
)  # fmt: skip

FILE = "model_prices.csv"
PRICE_COLUMNS = {name: f"{name}_usd_per_mtok" for name in RATE_NAMES if name != "request"} | {
    "request": "usd_per_request"
}
COLUMNS = (
    "provider", "model", "service_tier", "valid_from", "valid_to",
    "daily_from_s", "daily_to_s", "prompt_tokens_from", "prompt_tokens_to",
    *PRICE_COLUMNS.values(), "not_included", "source", "price_version",
)  # fmt: skip
Row = dict[str, str]


def dump(timelines: Timelines) -> str:
    """The seed's text. Every period must have its version."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for key in sorted(timelines):
        for period in timelines[key]:
            writer.writerows(_row(key, period, cell) for cell in period.tariff)
    return text.getvalue()


def _row(key: Key, period: Period, cell: Cell) -> Row:
    place = cell.place
    return {
        **key._asdict(),
        "valid_from": period.start.isoformat(),
        "valid_to": "" if period.end is None else period.end.isoformat(),
        "daily_from_s": str(place.daily_from_s),
        "daily_to_s": str(place.daily_to_s),
        "prompt_tokens_from": str(place.prompt_from),
        "prompt_tokens_to": "" if place.prompt_to is None else str(place.prompt_to),
        **{column: plain(getattr(cell.rates, name)) for name, column in PRICE_COLUMNS.items()},
        "not_included": " ".join(cell.not_included),
        "source": period.version.rsplit("-", 1)[0],
        "price_version": period.version,
    }


def load(file: Path) -> Timelines:
    """The seed as timelines; a file that is not there is an empty seed."""
    if not file.exists():
        return {}
    with file.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise MeterhouseError(
                f"{file}: expected the columns {','.join(COLUMNS)}, found {','.join(reader.fieldnames or ())}; "
                "take the file back from git, then run meterhouse prices"
            )
        cells = [_cell(file, number, row) for number, row in enumerate(reader, start=2)]
    timelines: Timelines = {}
    for key, of_key in groupby(sorted(cells, key=lambda one: one[:2]), key=lambda one: one[0]):
        periods = []
        for start, group in groupby(of_key, key=lambda one: one[1]):
            rows = list(group)
            ends, versions = {row[2] for row in rows}, {row[3] for row in rows}
            if len(ends) > 1 or len(versions) > 1:
                raise MeterhouseError(f"{file}: {key} from {start}: rows of one period end apart or differ in version")
            period = Period(start, ends.pop(), tuple(row[4] for row in rows), versions.pop())
            _check_unedited(file, key, period)
            periods.append(period)
        timelines[key] = tuple(periods)
        gap = find_gap(key, timelines[key])
        if gap:
            raise MeterhouseError(f"{file}: {key}: {gap}; take the file back from git, then run meterhouse prices")
    return timelines


def _cell(file: Path, number: int, row: Row) -> tuple[Key, date, date | None, str, Cell]:
    try:
        key = Key(row["provider"], row["model"], row["service_tier"])
        if key.service_tier not in SERVICE_TIERS:
            raise ValueError(f"service_tier is one of {', '.join(SERVICE_TIERS)}")
        end = date.fromisoformat(row["valid_to"]) if row["valid_to"] else None
        prompt_to = int(row["prompt_tokens_to"]) if row["prompt_tokens_to"] else None
        place = Place(int(row["daily_from_s"]), int(row["daily_to_s"]), int(row["prompt_tokens_from"]), prompt_to)
        rates = {name: Decimal(row[column]) for name, column in PRICE_COLUMNS.items() if row[column]}
        cell = Cell(place, Rates(**rates), tuple(row["not_included"].split()))
        return key, date.fromisoformat(row["valid_from"]), end, row["price_version"], cell
    except (ValueError, InvalidOperation, TypeError) as error:
        raise MeterhouseError(
            f"{file}, line {number}: {error}; take the file back from git: it is written by meterhouse prices"
        ) from None


def _check_unedited(file: Path, key: Key, period: Period) -> None:
    if period.version.rsplit("-", 1)[-1] != content_hash(key, period):
        raise MeterhouseError(
            f"{file}: {key} from {period.start}: its rows are not those that {period.version} names; prices are not "
            "edited here: put yours into model_price_overrides.csv and take this file back from git"
        )


def find_gap(key: Key, timeline: Iterable[Period]) -> str:
    """The first instant, hour or size of prompt that has no price or two; empty where there is none."""
    expected: date | None = ALWAYS
    for number, period in enumerate(timeline):
        if number == 0 and key.service_tier != STANDARD:
            expected = period.start
        if expected is None or period.start < expected or (period.end is not None and period.end <= period.start):
            return f"the period from {period.start} overlaps the one before it"
        if period.start > expected and key.service_tier == STANDARD:
            return f"there is no price from {expected} to {period.start}"
        hole = _find_hole(period.tariff)
        if hole:
            return f"the period from {period.start} {hole}"
        expected = period.end
    return "" if expected is None or key.service_tier != STANDARD else f"there is no price from {expected} on"


def _find_hole(tariff: Tariff) -> str:
    """Two cells that hold the same call, or a call that none holds; only the corners of the cells can differ."""
    places = [cell.place for cell in tariff]
    for second in {0, *(at for place in places for at in (place.daily_from_s, place.daily_to_s) if at < DAY_S)}:
        for tokens in {0, *(n for place in places for n in (place.prompt_from, place.prompt_to or 0))}:
            holding = sum(place.holds(second, tokens) for place in places)
            if holding != 1:
                return f"has {holding or 'no'} prices for a prompt of {tokens} tokens at second {second} of the day"
    return ""
