"""Completeness, the pure part: which offsets belong to which day, and what a day's counts say.

A day of a partition is a contiguous range of offsets, so the days of a partition add up to all that was produced. Every
offset of a day is exactly one of the fields of `Counts`: produced = landed + copies + dead letters + not messages +
waiting + lost + missing + unproven. docs/quality.md says how each is found.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from orchestration.lib.quality_finding import Finding, Level, Metadata, Number
from orchestration.lib.quality_thresholds import Completeness


@dataclass(frozen=True, order=True, slots=True)
class SourceKey:
    """One incarnation of one partition, as everywhere in the loader."""

    topic: str
    topic_id: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"


@dataclass(frozen=True, slots=True)
class DayRange:
    """Offsets from `first`, up to but without `end`, that were produced on `day` (UTC)."""

    day: date
    first: int
    end: int

    def __len__(self) -> int:
        return self.end - self.first


class Cause(StrEnum):
    """What became of an absent offset; each is a field of `Counts`."""

    COPY = "copies"
    NOT_A_MESSAGE = "not_messages"
    LOST = "lost"
    MISSING = "missing"
    UNPROVEN = "unproven"


@dataclass(slots=True)
class Counts:
    """Offsets by what became of them.

    landed: a row of raw has it; copies: another, later arrival of the same event has taken its row's place;
    dead_letters: refused; not_messages: offsets of compaction and of transactions; waiting: not loaded yet; lost:
    gone from the broker before they were loaded; missing: was loaded, and is nowhere; unproven: not there, and nobody
    can say any more whether it was a copy. `landed_twice`, which is beside the sum: rows beyond one an offset.
    """

    produced: int = 0
    landed: int = 0
    copies: int = 0
    dead_letters: int = 0
    not_messages: int = 0
    waiting: int = 0
    lost: int = 0
    missing: int = 0
    unproven: int = 0
    landed_twice: int = 0

    def add(self, other: "Counts") -> None:
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    @property
    def unaccounted(self) -> int:
        """Messages that were produced and are neither landed nor dead letters: what must be zero."""
        return self.lost + self.missing + self.unproven


@dataclass(frozen=True, slots=True)
class MissingMessage:
    """One offset that is not accounted for, for people; `event` is `workspace/event_id` where it is known."""

    source: SourceKey
    offset: int
    cause: str
    event: str = ""


@dataclass(frozen=True)
class Account:
    """Everything one run of the check found. `notes` are sentences about what could not be looked at."""

    counts: Mapping[tuple[date, str], Counts]
    absent: Sequence[MissingMessage] = ()
    notes: Sequence[str] = ()
    numbers: Mapping[str, Number] = field(default_factory=dict)


def days_until(today: date, count: int) -> list[date]:
    """The last `count` days, `today` included, in order."""
    return [today - timedelta(days=back) for back in range(count - 1, -1, -1)]


def split_days(
    days: Sequence[date],
    end: int,
    *,
    reached: int,
    found: Mapping[date, int],
    landed_before: Mapping[date, int],
    seen_before: Mapping[date, int],
) -> list[DayRange]:
    """The ranges of a partition's offsets below `end`, one a day; the last day takes all the rest.

    `found`: the first offset of the day or of a later one, as the broker's time index or the ledger's runs say; a day
    without one begins at `reached`, up to where messages were loaded and hence dated: what waits is of the last day.
    `landed_before` and `seen_before`: where a day begins at least, because everything before it was loaded, or seen on
    the broker, before the day began, whatever a producer's clock says.
    """
    starts = {}
    for day in days:
        least = max(landed_before.get(day, 0), seen_before.get(day, 0))
        starts[day] = min(max(found.get(day, reached), least), end)
    ranges, upper = [], end
    for day in reversed(days):
        first = min(starts[day], upper)
        ranges.append(DayRange(day, first, upper))
        upper = first
    return ranges[::-1]


def judge(account: Account, rule: Completeness, now: datetime) -> Finding:
    """Missing messages are an error; what waits for hours after its day, or landed twice, a warning."""
    total = Counts()
    late: dict[str, int] = {}
    rows: list[Mapping[str, Number]] = []
    for (day, topic), counts in sorted(account.counts.items(), reverse=True):
        total.add(counts)
        over_since = now - datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=1)
        if counts.waiting and over_since > timedelta(minutes=rule.grace_minutes):
            late[f"{day} {topic}"] = counts.waiting
        rows.append(
            {
                "day": str(day),
                "topic": topic,
                **{one.name: getattr(counts, one.name) for one in fields(counts)},
                "unaccounted": counts.unaccounted,
            }
        )
    sentences = [
        f"{total.produced:,} produced in {len({day for day, _ in account.counts})} days = "
        f"{total.landed + total.copies:,} landed + {total.dead_letters:,} dead letters + {total.waiting:,} waiting"
        + (f" + {total.not_messages:,} that are no messages" if total.not_messages else "")
        + f" + {total.unaccounted:,} missing"
    ]
    if total.unaccounted:
        sentences.append(
            f"of the missing {total.missing:,} were loaded and are nowhere, {total.lost:,} were gone from the broker "
            f"before they were loaded, {total.unproven:,} cannot be told from copies any more"
        )
        sentences.append("first: " + ", ".join(f"{one.source} offset {one.offset}" for one in account.absent[:3]))
    if late:
        sentences.append(f"{sum(late.values()):,} wait although their day is over ({', '.join(list(late)[:3])})")
    if total.landed_twice:
        sentences.append(f"{total.landed_twice:,} rows are second rows of one offset")
    sentences += account.notes
    level = Level.OK
    if late or total.landed_twice or account.notes or total.unproven:
        level = Level.WARN
    if total.missing or total.lost:
        level = Level.ERROR
    return Finding(
        level,
        "; ".join(sentences),
        {
            **{one.name: getattr(total, one.name) for one in fields(total)},
            "missing_messages": total.unaccounted,
            "days": rule.days,
            **account.numbers,
        },
        rows,
        _listed(account.absent[: rule.list_at_most]),
    )


def _listed(absent: Sequence[MissingMessage]) -> Metadata:
    from dagster import MetadataValue

    if not absent:
        return {}
    head = "| topic | partition | offset | cause | event |\n| --- | --- | --- | --- | --- |\n"
    lines = (f"| {o.source.topic} | {o.source.partition} | {o.offset} | {o.cause} | {o.event} |" for o in absent)
    return {"missing_offsets": MetadataValue.md(head + "\n".join(lines))}


def stretches(offsets: Iterable[int], reach: int) -> list[tuple[int, int]]:
    """Ascending offsets as ranges [first, end); two are one range where fewer than `reach` offsets lie between them."""
    ranges: list[tuple[int, int]] = []
    for offset in sorted(offsets):
        if ranges and offset - ranges[-1][1] < reach:
            ranges[-1] = (ranges[-1][0], offset + 1)
        else:
            ranges.append((offset, offset + 1))
    return ranges
