"""Suites of expectations as people write them: orchestration/expectations/suites/*.yml.

In: the folder. Out: a Suite a file, sorted by name, checked as far as that goes without Great Expectations, whose
import takes seconds: the kwargs of expectations of ours wholly, of stock ones when they run. A wrong file raises
SettingsError with the file, the key and what was expected.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from ingest.errors import SettingsError
from orchestration.lib import quality_files

FOLDER: Final = quality_files.FOLDER / "suites"

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*$")]
Column = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Quantile = Annotated[float, Meta(gt=0, lt=1)]
Ratio = Annotated[float, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0, le=1)]
Rows = Annotated[int, Meta(ge=1)]
Weeks = Annotated[int, Meta(ge=1, le=12)]

PLACEHOLDERS: Final = ("raw", "raw_name", "intermediate", "marts", "ops", "as_of", "hour", "same_hours", "topics")
_PLACEHOLDER: Final = re.compile(r"\{\{\s*([a-z_]+)\s*\}\}")


class _Kwargs(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class _PastWeeks(_Kwargs, frozen=True, kw_only=True):
    """`min_rows`: fewer prove nothing; `min_weeks`: past weeks with at least so many rows, or there is no history."""

    min_rows: Rows
    min_weeks: Weeks = 3


class Volume(_PastWeeks, frozen=True, kw_only=True):
    """Rows between `min_ratio` of the quietest and `max_ratio` of the busiest past week; `by`: a column, each of whose
    values is looked at apart."""

    by: Column | None = None
    min_ratio: Share
    max_ratio: Ratio


class Quantiles(_PastWeeks, frozen=True, kw_only=True):
    """Quantiles of `column` within the factor `max_ratio` of those of the past weeks."""

    column: Column
    quantiles: Annotated[list[Quantile], Meta(min_length=1, max_length=9)]
    max_ratio: Ratio
    by: Column | None = None


class Categories(_PastWeeks, frozen=True, kw_only=True):
    """`max_distance`: share of rows that would have to change their category to be as in past weeks; `max_new_share`:
    share of rows in categories that no past week had; `weight`: a column that says how many rows one stands for."""

    column: Column
    weight: Column | None = None
    max_distance: Share
    max_new_share: Share


class Shares(_PastWeeks, frozen=True, kw_only=True):
    """The share of rows in which `column` is 1, within `max_change` of that of the past weeks."""

    column: Column
    max_change: Share
    by: Column | None = None


class QuantileRanges(_Kwargs, frozen=True, kw_only=True):
    quantiles: Annotated[list[Quantile], Meta(min_length=1, max_length=9)]
    value_ranges: list[tuple[float | None, float | None]]


class QuantilesBetween(_Kwargs, frozen=True, kw_only=True):
    """As the stock expectation of nearly this name, which ClickHouse cannot carry out."""

    column: Column
    quantile_ranges: QuantileRanges
    min_rows: Rows = 1


OURS: Final[Mapping[str, type[_Kwargs]]] = {
    "expect_volume_like_past_weeks": Volume,
    "expect_quantiles_like_past_weeks": Quantiles,
    "expect_categories_like_past_weeks": Categories,
    "expect_shares_like_past_weeks": Shares,
    "expect_column_quantile_values_to_be_between_on_clickhouse": QuantilesBetween,
}
# Great Expectations' own that need quantiles WITHIN GROUP, which ClickHouse does not have.
_NOT_HERE: Final = (
    "expect_column_quantile_values_to_be_between",
    "expect_column_median_to_be_between",
    "expect_column_value_z_scores_to_be_less_than",
)


class Expectation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One expectation, as Great Expectations writes it. `severity`: critical fails the check as an error, warning as a
    warning, info only tells."""

    type: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*$")]
    kwargs: dict[str, object]
    severity: Literal["critical", "warning", "info"] = "warning"
    notes: str = ""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    asset: Annotated[str, Meta(pattern=r"^[a-z0-9_]+(/[a-z0-9_]+)+$")]
    check: Name
    description: Annotated[str, Meta(min_length=10)]
    query: Annotated[str, Meta(min_length=8)]
    past_weeks: Weeks = 4
    expectations: Annotated[list[Expectation], Meta(min_length=1)]


@dataclass(frozen=True)
class Suite:
    """One file: the check it is, what it looks at, what it expects."""

    file: Path
    asset: str
    check: str
    description: str
    query: str
    past_weeks: int
    expectations: tuple[Expectation, ...]

    @property
    def shown(self) -> str:
        return quality_files.shown(self.file)

    def fill(self, values: Mapping[str, str]) -> str:
        """The query with its placeholders replaced."""
        return _PLACEHOLDER.sub(lambda found: values[found[1]], self.query)


def load_suites(folder: Path = FOLDER) -> list[Suite]:
    """Every suite of the folder. Raises SettingsError for the first wrong one."""
    suites = [read_suite(file) for file in sorted(folder.glob("*.yml"))]
    seen: dict[tuple[str, str], Suite] = {}
    for suite in suites:
        other = seen.setdefault((suite.asset, suite.check), suite)
        if other is not suite:
            raise SettingsError(
                f"{suite.shown}, key check: expected a name that no other suite of {suite.asset} has, came "
                f"{suite.check!r}, as in {other.shown}. Correct it and start again."
            )
    return suites


def read_suite(file: Path) -> Suite:
    """One file, checked."""
    read = quality_files.read(file, _File)
    for name in _PLACEHOLDER.findall(read.query):
        if name not in PLACEHOLDERS:
            raise SettingsError(
                f"{quality_files.shown(file)}, key query: expected placeholders among {', '.join(PLACEHOLDERS)}, came "
                f"{{{{ {name} }}}}. Correct it and start again."
            )
    for problem in _problems(read.expectations):
        raise SettingsError(f"{quality_files.shown(file)}, key {problem}. Correct it and start again.")
    return Suite(
        file, read.asset, read.check, read.description, read.query.strip(), read.past_weeks, tuple(read.expectations)
    )


def _problems(expectations: list[Expectation]) -> Iterator[str]:
    """What is wrong with the kwargs: the key, what was expected and what came."""
    for index, one in enumerate(expectations):
        key = f"expectations[{index}]"
        if one.type in _NOT_HERE:
            yield (
                f"{key}.type: expected an expectation that works on ClickHouse (for quantiles "
                f"expect_column_quantile_values_to_be_between_on_clickhouse), came {one.type!r}"
            )
        if not one.type.startswith(("expect_", "unexpected_rows")):
            yield f"{key}.type: expected expect_… or unexpected_rows_expectation, came {one.type!r}"
        if one.type in OURS:
            try:
                kwargs = msgspec.convert(one.kwargs, OURS[one.type])
            except msgspec.ValidationError as error:
                words, _, place = str(error).partition(" - at `$")
                yield f"{key}.kwargs{place.rstrip('`')} of {one.type}: {words[:1].lower()}{words[1:]}"
                continue
            if isinstance(kwargs, QuantilesBetween):
                ranges = kwargs.quantile_ranges
                if len(ranges.quantiles) != len(ranges.value_ranges):
                    yield (
                        f"{key}.kwargs.quantile_ranges.value_ranges: expected {len(ranges.quantiles)} ranges, one a "
                        f"quantile, came {len(ranges.value_ranges)}"
                    )
