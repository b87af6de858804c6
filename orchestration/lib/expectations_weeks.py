"""A stretch of time against the same stretch of past weeks: the judgement, without a database.

In: for each group and week (0 is now) how many rows, and quantiles or a share of them. Out: a Judgement with a line for
each thing compared. Past weeks with fewer than `min_rows` rows are no history: an installation that is younger, or was
away. Too little history, or too few rows, is said with the numbers and is neither a pass nor a failure of anything.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from orchestration.lib.expectations_suites import Categories, Quantiles, Shares, Volume


class Verdict(StrEnum):
    """What became of one thing that was to be compared."""

    EXPECTED = "as expected"
    UNEXPECTED = "unexpected"
    FEW_ROWS = "too few rows"
    NO_HISTORY = "not enough history"


@dataclass(frozen=True, slots=True)
class Measured:
    """One group in one week. `values`: quantiles in the order asked for, or one share; empty where only rows count."""

    group: str
    weeks_ago: int
    rows: int
    values: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One comparison: what was seen, and between what it was expected; None where nothing was to be expected."""

    subject: str
    verdict: Verdict
    observed: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Judgement:
    """All comparisons. `weeks_found`: past weeks that are history."""

    lines: Sequence[Line]
    rows_now: int
    weeks_found: int
    weeks_needed: int

    @property
    def success(self) -> bool:
        return all(line.verdict is not Verdict.UNEXPECTED for line in self.lines)

    @property
    def judged(self) -> int:
        return sum(line.verdict in (Verdict.EXPECTED, Verdict.UNEXPECTED) for line in self.lines)

    @property
    def has_history(self) -> bool:
        return self.weeks_found >= self.weeks_needed


@dataclass
class _Weeks:
    """Measurements by group and week, with the weeks that are history."""

    by_group: dict[str, dict[int, Measured]] = field(default_factory=lambda: defaultdict(dict))
    totals: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    @classmethod
    def of(cls, measured: Iterable[Measured]) -> "_Weeks":
        weeks = cls()
        for one in measured:
            weeks.by_group[one.group][one.weeks_ago] = one
            weeks.totals[one.weeks_ago] += one.rows
        return weeks

    def history(self, min_rows: int) -> list[int]:
        return sorted(week for week, rows in self.totals.items() if week > 0 and rows >= min_rows)


def judge_volume(measured: Iterable[Measured], rule: Volume) -> Judgement:
    """Rows of each group against the quietest and the busiest past week; a group that is gone counts as 0 rows."""
    weeks = _Weeks.of(measured)
    history = weeks.history(rule.min_rows)
    lines = []
    for group, by_week in _largest_first(weeks.by_group):
        rows = by_week[0].rows if 0 in by_week else 0
        past = [by_week[week].rows if week in by_week else 0 for week in history]
        subject = f"rows of {group}" if rule.by else "rows"
        if len(history) < rule.min_weeks:
            lines.append(Line(subject, Verdict.NO_HISTORY, rows))
            continue
        low, high = rule.min_ratio * min(past), rule.max_ratio * max(past)
        if max(rows, *past) < rule.min_rows:
            verdict = Verdict.FEW_ROWS
        else:
            # Few rows more than the busiest week prove nothing, where that had few.
            is_high = rows > max(high, max(past) + rule.min_rows)
            verdict = Verdict.UNEXPECTED if rows < low or is_high else Verdict.EXPECTED
        lines.append(Line(subject, verdict, rows, round(low, 1), round(max(high, max(past) + rule.min_rows), 1)))
    return Judgement(lines, weeks.totals.get(0, 0), len(history), rule.min_weeks)


def judge_quantiles(measured: Iterable[Measured], rule: Quantiles) -> Judgement:
    """Quantiles of each group against the lowest and the highest of the past weeks that had enough rows of it."""
    weeks = _Weeks.of(measured)
    lines = []
    for group, by_week in _largest_first(weeks.by_group):
        now = by_week.get(0)
        past = [one for week, one in by_week.items() if week > 0 and one.rows >= rule.min_rows]
        for index, quantile in enumerate(rule.quantiles):
            subject = f"p{quantile * 100:g} of {rule.column}{f' of {group}' if rule.by else ''}"
            if now is None or now.rows < rule.min_rows:
                lines.append(Line(subject, Verdict.FEW_ROWS, now.values[index] if now and now.rows else 0.0))
                continue
            observed = now.values[index]
            if len(past) < rule.min_weeks:
                lines.append(Line(subject, Verdict.NO_HISTORY, observed))
                continue
            low = min(one.values[index] for one in past) / rule.max_ratio
            high = max(one.values[index] for one in past) * rule.max_ratio
            verdict = Verdict.EXPECTED if low <= observed <= high else Verdict.UNEXPECTED
            lines.append(Line(subject, verdict, round(observed, 3), round(low, 3), round(high, 3)))
    return Judgement(lines, weeks.totals.get(0, 0), len(weeks.history(rule.min_rows)), rule.min_weeks)


def judge_categories(measured: Iterable[Measured], rule: Categories) -> Judgement:
    """The shares of categories against those of the past weeks together: how far apart, and how much is new."""
    weeks = _Weeks.of(measured)
    history, rows_now = weeks.history(rule.min_rows), weeks.totals.get(0, 0)
    verdict = Verdict.FEW_ROWS if rows_now < rule.min_rows else Verdict.NO_HISTORY
    if rows_now < rule.min_rows or len(history) < rule.min_weeks:
        return Judgement([Line(f"categories of {rule.column}", verdict, 0.0)], rows_now, len(history), rule.min_weeks)
    past_rows = sum(weeks.totals[week] for week in history)
    shares = {
        group: (
            by_week[0].rows / rows_now if 0 in by_week else 0.0,
            sum(by_week[week].rows for week in history if week in by_week) / past_rows,
        )
        for group, by_week in weeks.by_group.items()
    }
    distance = sum(abs(now - before) for now, before in shares.values()) / 2
    new_share = sum(now for now, before in shares.values() if before == 0)
    lines = [
        _at_most(f"distance of {rule.column} from past weeks", distance, rule.max_distance),
        _at_most(f"share of {rule.column} that no past week had", new_share, rule.max_new_share),
    ]
    is_bad = any(line.verdict is Verdict.UNEXPECTED for line in lines)
    for group, (now, before) in sorted(shares.items(), key=lambda pair: -abs(pair[1][0] - pair[1][1]))[:10]:
        words = f"share of {rule.column} = {group or '(empty)'}{' (new)' if before == 0 else ''}"
        # Which categories moved; the two lines above decide.
        moved = Verdict.EXPECTED if not is_bad or abs(now - before) < 0.01 else Verdict.UNEXPECTED
        lines.append(Line(words, moved, round(now, 4), round(before, 4), round(before, 4)))
    return Judgement(lines, rows_now, len(history), rule.min_weeks)


def judge_shares(measured: Iterable[Measured], rule: Shares) -> Judgement:
    """A share of each group against the lowest and the highest of the past weeks."""
    weeks = _Weeks.of(measured)
    lines = []
    for group, by_week in _largest_first(weeks.by_group):
        now = by_week.get(0)
        past = [one for week, one in by_week.items() if week > 0 and one.rows >= rule.min_rows]
        subject = f"share of {rule.column}{f' of {group}' if rule.by else ''}"
        if now is None or now.rows < rule.min_rows:
            lines.append(Line(subject, Verdict.FEW_ROWS, now.values[0] if now else 0.0))
        elif len(past) < rule.min_weeks:
            lines.append(Line(subject, Verdict.NO_HISTORY, round(now.values[0], 4)))
        else:
            low = max(0.0, min(one.values[0] for one in past) - rule.max_change)
            high = min(1.0, max(one.values[0] for one in past) + rule.max_change)
            verdict = Verdict.EXPECTED if low <= now.values[0] <= high else Verdict.UNEXPECTED
            lines.append(Line(subject, verdict, round(now.values[0], 4), round(low, 4), round(high, 4)))
    return Judgement(lines, weeks.totals.get(0, 0), len(weeks.history(rule.min_rows)), rule.min_weeks)


def _at_most(subject: str, observed: float, limit: float) -> Line:
    verdict = Verdict.EXPECTED if observed <= limit else Verdict.UNEXPECTED
    return Line(subject, verdict, round(observed, 4), 0.0, limit)


def _largest_first(groups: Mapping[str, Mapping[int, Measured]]) -> list[tuple[str, Mapping[int, Measured]]]:
    return sorted(groups.items(), key=lambda pair: (-max(one.rows for one in pair[1].values()), pair[0]))
