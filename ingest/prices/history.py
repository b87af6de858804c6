"""How a newer package changes the seed: rows are appended and closed, never rewritten.

In: the seed's timelines, the package's, and the day from which an undated change counts (today). Out: the timelines to
write and a sentence for each difference. For each day of each model:

  from the effective day on            the package's price
  before, nothing in the seed          the package's price: a model that is new to us
  before, both say the same            as it is, under the version it has
  before, the package dates a change   the package's price, where the seed's last price was still open: it is closed at
                                       that date. The past is restated then, and cost_restatements says so.
  before, anything else                the seed's price: what was billed stays billed. `restate` takes the package's.

What the package no longer names keeps its last price, so that calls that still come are priced.
"""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from ingest.prices.tariffs import (
    ALWAYS,
    Key,
    Period,
    Rates,
    Tariff,
    Timeline,
    Timelines,
    content_hash,
    period_at,
    plain,
)  # fmt: skip

Kind = Literal["new", "changed", "kept", "gone"]


@dataclass(frozen=True)
class Change:
    """One difference: new or changed in the seed, kept as the seed has it, or gone from the package."""

    kind: Kind
    key: Key
    sentence: str


def merge(
    seed: Timelines, package: Timelines, version: str, effective: date, *, restate: bool = False
) -> tuple[Timelines, list[Change]]:
    """The timelines to write, and what differs. Merging the result again with the same package changes nothing."""
    merged: Timelines = {}
    changes: list[Change] = []
    for key in sorted(seed.keys() | package.keys()):
        ours, theirs = seed.get(key, ()), package.get(key, ())
        if not theirs:
            merged[key] = ours
            changes.append(Change("gone", key, f"the package no longer has it; priced on as since {ours[-1].start}"))
            continue
        merged[key] = _merge_one(ours, theirs, effective, restate=restate)
        merged[key] = tuple(_named(key, period, ours, version) for period in merged[key])
        if not ours:
            changes.append(Change("new", key, _say(merged[key][-1].tariff)))
        else:
            changes += _compare(key, ours, merged[key], theirs)
    return merged, changes


def _merge_one(ours: Timeline, theirs: Timeline, effective: date, *, restate: bool) -> Timeline:
    days = _breaks(effective, ours, theirs)
    periods: list[Period] = []
    for start, end in zip(days, [*days[1:], None], strict=True):
        mine, other = period_at(ours, start), period_at(theirs, start)
        is_open = not ours or restate or start >= effective
        chosen = (other or mine) if is_open else _choose_past(mine, other)
        if chosen is None:
            continue
        last = periods[-1] if periods else None
        if last is not None and last.end == start and last.tariff == chosen.tariff:
            periods[-1] = Period(last.start, end, last.tariff)
        else:
            periods.append(Period(start, end, chosen.tariff))
    return tuple(periods)


def _choose_past(ours: Period | None, theirs: Period | None) -> Period | None:
    """The package's price only where it dates a change of a price that the seed had left open."""
    is_dated_change = theirs is not None and theirs.start != ALWAYS and ours is not None and ours.end is None
    return theirs if is_dated_change else ours


def _breaks(effective: date, *timelines: Timeline) -> list[date]:
    ends = {period.end for timeline in timelines for period in timeline if period.end is not None}
    return sorted({effective, *ends, *(period.start for timeline in timelines for period in timeline)})


def _named(key: Key, period: Period, ours: Timeline, version: str) -> Period:
    """The period under the version it already has, or under this package's."""
    known = next((one for one in ours if one.start == period.start and one.tariff == period.tariff), None)
    name = known.version if known is not None else f"{version}-{content_hash(key, period)}"
    return Period(period.start, period.end, period.tariff, name)


def _compare(key: Key, ours: Timeline, merged: Timeline, theirs: Timeline) -> list[Change]:
    changes = []
    before = {period.version: period for period in ours}
    for period in merged:
        if period.version not in before:
            changes.append(Change("changed", key, f"from {period.start}: {_say(period.tariff)}"))
        elif before[period.version].end != period.end:
            changes.append(Change("changed", key, f"price of {period.start} ends {period.end}"))
    dropped = [period for period in ours if period.version not in {one.version for one in merged}]
    changes += [Change("changed", key, f"price of {period.start} is gone") for period in dropped]
    for day in _breaks(ALWAYS, merged, theirs):
        mine, other = period_at(merged, day), period_at(theirs, day)
        if other is not None and (mine is None or mine.tariff != other.tariff):
            has = "none" if mine is None else _say(mine.tariff)
            changes.append(Change("kept", key, f"from {day} the seed has {has}, the package {_say(other.tariff)}"))
    return changes


def _say(tariff: Tariff) -> str:
    """A tariff in a few words, by its first cell."""
    rates: Rates = tariff[0].rates
    text = f"{plain(rates.input) or '-'} in, {plain(rates.output) or '-'} out"
    if rates.cache_read is not None:
        text += f", {plain(rates.cache_read)} cached"
    return text + (f" and {len(tariff) - 1} more" if len(tariff) > 1 else "")
