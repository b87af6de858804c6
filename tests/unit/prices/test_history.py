"""A newer package adds and closes rows: what was billed stays, unless the package dates the change of an open price."""

from datetime import date
from decimal import Decimal

from ingest.prices import seed
from ingest.prices.history import merge
from ingest.prices.tariffs import ALWAYS, STANDARD, Cell, Key, Period, Place, Rates, Timeline, Timelines

KEY = Key("p", "m", STANDARD)
DAY = [date(2026, 1, day) for day in range(1, 20)]


def at(*changes: tuple[date, int]) -> Timeline:
    """A timeline from (start, input rate), each until the next."""
    ends = [start for start, _ in changes[1:]]
    return tuple(
        Period(start, end, (Cell(Place(), Rates(input=Decimal(rate), output=Decimal(rate))),))
        for (start, rate), end in zip(changes, [*ends, None], strict=True)
    )


def seeded(*changes: tuple[date, int], version: str = "package-1") -> Timelines:
    return merge({}, {KEY: at(*changes)}, version, DAY[0])[0]


def rates(timelines: Timelines) -> list[tuple[date, int]]:
    return [(period.start, int(period.tariff[0].rates.input or 0)) for period in timelines[KEY]]


def test_a_change_without_a_date_counts_from_the_effective_day_and_the_old_row_keeps_its_version() -> None:
    before = seeded((ALWAYS, 3))
    after, changes = merge(before, {KEY: at((ALWAYS, 5))}, "package-2", DAY[9])
    assert rates(after) == [(ALWAYS, 3), (DAY[9], 5)]
    assert after[KEY][0].version == before[KEY][0].version
    assert after[KEY][1].version.startswith("package-2-")
    assert {change.kind for change in changes} == {"changed", "kept"}


def test_a_dated_change_closes_the_open_price_at_its_date_even_when_that_has_passed() -> None:
    after, _ = merge(seeded((ALWAYS, 3)), {KEY: at((ALWAYS, 3), (DAY[4], 5))}, "package-2", DAY[9])
    assert rates(after) == [(ALWAYS, 3), (DAY[4], 5)]


def test_a_closed_price_is_not_touched_by_a_package_that_dates_it_otherwise_but_the_difference_is_said() -> None:
    before = seeded((ALWAYS, 3), (DAY[6], 5))
    package = {KEY: at((ALWAYS, 3), (DAY[4], 5))}
    after, changes = merge(before, package, "package-2", DAY[9])
    assert after == before
    assert [change.kind for change in changes] == ["kept"]
    assert rates(merge(before, package, "package-2", DAY[9], restate=True)[0]) == [(ALWAYS, 3), (DAY[4], 5)]


def test_a_model_that_the_package_dropped_keeps_its_last_price() -> None:
    before = seeded((ALWAYS, 3))
    after, changes = merge(before, {}, "package-2", DAY[9])
    assert (after, [change.kind for change in changes]) == (before, ["gone"])


def test_the_same_package_again_changes_nothing_on_any_later_day() -> None:
    package = {KEY: at((ALWAYS, 5), (DAY[12], 7))}
    once, _ = merge(seeded((ALWAYS, 3)), package, "package-2", DAY[9])
    for day in DAY[9:]:
        assert merge(once, package, "package-2", day)[0] == once
    assert seed.find_gap(KEY, once[KEY]) == ""
