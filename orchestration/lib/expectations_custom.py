"""Expectations of ours for Great Expectations, carried out by ClickHouse: against past weeks, and quantiles.

Import this module only where suites run: Great Expectations takes seconds to import. Importing registers the classes
under their names in snake case. A batch of an `…_like_past_weeks` expectation has a column weeks_ago, 0 for now. Each
result has `details` with a line for each comparison (expectations_weeks.py), so that a page can show them.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, ClassVar

import sqlalchemy as sa
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.execution_engine.execution_engine import ExecutionEngine
from great_expectations.execution_engine.sqlalchemy_execution_engine import SqlAlchemyExecutionEngine
from great_expectations.expectations.expectation import BatchExpectation
from great_expectations.expectations.metrics.metric_provider import metric_value
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider

from orchestration.lib import expectations_weeks as weeks
from orchestration.lib.expectations_suites import Categories, Quantiles, Shares, Volume
from orchestration.lib.expectations_weeks import Judgement, Line, Measured, Verdict

# Great Expectations hands over plain dicts of whatever was configured.
_Kwargs = dict[str, Any]


def _rows(engine: SqlAlchemyExecutionEngine, domain: _Kwargs, columns: Sequence[str], grouped: bool) -> list[Any]:
    """`select columns from batch`, grouped by all of them that are no aggregate."""
    selectable, _, _ = engine.get_compute_domain(domain_kwargs=domain, domain_type=MetricDomainTypes.TABLE)
    query = sa.select(*(sa.text(column) for column in columns)).select_from(selectable)
    if grouped:
        query = query.group_by(sa.text("1"), sa.text("2"))
    return list(engine.execute_query(query).fetchall())


def _group(column: str | None) -> str:
    """The group as text; a missing value is a group of its own."""
    return f"ifNull(toString(`{column}`), '') as by_group" if column else "'' as by_group"


def _quantiles(column: str, quantiles: Sequence[float]) -> str:
    levels = ", ".join(f"{float(quantile):.6f}" for quantile in quantiles)
    # Interpolated as everywhere in Meterhouse; null and NaN are no values.
    return f"quantilesExactInclusiveIf({levels})(toFloat64(assumeNotNull(`{column}`)), isFinite(`{column}`))"


class RowsByWeek(TableMetricProvider):
    """Measured rows, or what `weight` says they stand for, by the value of `by` (or of `column`) and week."""

    metric_name = "table.rows_by_week"
    value_keys = ("by", "column", "weight")

    @metric_value(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(
        cls,  # noqa: N805  # as Great Expectations binds it
        execution_engine: SqlAlchemyExecutionEngine,
        metric_domain_kwargs: _Kwargs,
        metric_value_kwargs: _Kwargs,
        **_: object,
    ) -> list[Measured]:
        by = metric_value_kwargs.get("by") or metric_value_kwargs.get("column")
        weight = metric_value_kwargs.get("weight")
        rows = f"sum(`{weight}`)" if weight else "count()"
        found = _rows(execution_engine, metric_domain_kwargs, [_group(by), "weeks_ago", rows], grouped=True)
        return [Measured(str(group), int(week), int(rows)) for group, week, rows in found]


class QuantilesByWeek(TableMetricProvider):
    """Measured quantiles of `column` by the value of `by` and week; rows are those that have a value."""

    metric_name = "table.quantiles_by_week"
    value_keys = ("by", "column", "quantiles")

    @metric_value(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(
        cls,  # noqa: N805
        execution_engine: SqlAlchemyExecutionEngine,
        metric_domain_kwargs: _Kwargs,
        metric_value_kwargs: _Kwargs,
        **_: object,
    ) -> list[Measured]:
        column = metric_value_kwargs["column"]
        measures = [f"countIf(isFinite(`{column}`))", _quantiles(column, metric_value_kwargs["quantiles"])]
        columns = [_group(metric_value_kwargs.get("by")), "weeks_ago", *measures]
        found = _rows(execution_engine, metric_domain_kwargs, columns, grouped=True)
        return [
            Measured(str(group), int(week), int(rows), tuple(float(value) for value in values))
            for group, week, rows, values in found
        ]


class SharesByWeek(TableMetricProvider):
    """Measured share of rows whose `column` is 1, by the value of `by` and week."""

    metric_name = "table.shares_by_week"
    value_keys = ("by", "column")

    @metric_value(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(
        cls,  # noqa: N805
        execution_engine: SqlAlchemyExecutionEngine,
        metric_domain_kwargs: _Kwargs,
        metric_value_kwargs: _Kwargs,
        **_: object,
    ) -> list[Measured]:
        column = metric_value_kwargs["column"]
        columns = [_group(metric_value_kwargs.get("by")), "weeks_ago", "count()", f"countIf(`{column}` = 1) / count()"]
        found = _rows(execution_engine, metric_domain_kwargs, columns, grouped=True)
        return [Measured(str(group), int(week), int(rows), (float(share),)) for group, week, rows, share in found]


class QuantilesNow(TableMetricProvider):
    """(rows that have a value, quantiles of `column`)."""

    metric_name = "table.quantiles_on_clickhouse"
    value_keys = ("column", "quantile_ranges")

    @metric_value(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(
        cls,  # noqa: N805
        execution_engine: SqlAlchemyExecutionEngine,
        metric_domain_kwargs: _Kwargs,
        metric_value_kwargs: _Kwargs,
        **_: object,
    ) -> tuple[int, list[float]]:
        column = metric_value_kwargs["column"]
        measures = [
            f"countIf(isFinite(`{column}`))",
            _quantiles(column, metric_value_kwargs["quantile_ranges"]["quantiles"]),
        ]
        [(rows, values)] = _rows(execution_engine, metric_domain_kwargs, measures, grouped=False)
        return int(rows), [float(value) for value in values]


class _LikePastWeeks(BatchExpectation):
    """What the expectations against past weeks have in common."""

    min_rows: int
    min_weeks: int = 3

    success_keys: ClassVar[tuple[str, ...]] = (
        "min_rows", "min_weeks", "by", "column", "quantiles", "min_ratio", "max_ratio", "max_distance",
        "max_new_share", "max_change", "weight",
    )  # fmt: skip

    def judge(self, measured: list[Measured]) -> Judgement:
        raise NotImplementedError

    def _validate(
        self,
        metrics: _Kwargs,
        runtime_configuration: _Kwargs | None = None,  # noqa: ARG002  # as Great Expectations calls it
        execution_engine: ExecutionEngine[Any] | None = None,  # noqa: ARG002
    ) -> _Kwargs:
        return _answer(self.judge(metrics[self.metric_dependencies[0]]))


class ExpectVolumeLikePastWeeks(_LikePastWeeks):
    """As many rows as at the same time of past weeks."""

    by: str | None = None
    min_ratio: float
    max_ratio: float

    metric_dependencies: ClassVar[tuple[str, ...]] = (RowsByWeek.metric_name,)

    def judge(self, measured: list[Measured]) -> Judgement:
        rule = Volume(
            min_rows=self.min_rows, min_weeks=self.min_weeks, by=self.by, min_ratio=self.min_ratio,
            max_ratio=self.max_ratio,
        )  # fmt: skip
        return weeks.judge_volume(measured, rule)


class ExpectQuantilesLikePastWeeks(_LikePastWeeks):
    """A column distributed as at the same time of past weeks."""

    column: str
    quantiles: list[float]
    max_ratio: float
    by: str | None = None

    metric_dependencies: ClassVar[tuple[str, ...]] = (QuantilesByWeek.metric_name,)

    def judge(self, measured: list[Measured]) -> Judgement:
        rule = Quantiles(
            min_rows=self.min_rows, min_weeks=self.min_weeks, column=self.column, quantiles=self.quantiles,
            max_ratio=self.max_ratio, by=self.by,
        )  # fmt: skip
        return weeks.judge_quantiles(measured, rule)


class ExpectCategoriesLikePastWeeks(_LikePastWeeks):
    """The same categories in the same shares as at the same time of past weeks."""

    column: str
    max_distance: float
    max_new_share: float
    weight: str | None = None

    metric_dependencies: ClassVar[tuple[str, ...]] = (RowsByWeek.metric_name,)

    def judge(self, measured: list[Measured]) -> Judgement:
        rule = Categories(
            min_rows=self.min_rows, min_weeks=self.min_weeks, column=self.column, max_distance=self.max_distance,
            max_new_share=self.max_new_share, weight=self.weight,
        )  # fmt: skip
        return weeks.judge_categories(measured, rule)


class ExpectSharesLikePastWeeks(_LikePastWeeks):
    """A column of 0 and 1 that is 1 as often as at the same time of past weeks."""

    column: str
    max_change: float
    by: str | None = None

    metric_dependencies: ClassVar[tuple[str, ...]] = (SharesByWeek.metric_name,)

    def judge(self, measured: list[Measured]) -> Judgement:
        rule = Shares(
            min_rows=self.min_rows, min_weeks=self.min_weeks, column=self.column, max_change=self.max_change, by=self.by
        )
        return weeks.judge_shares(measured, rule)


class ExpectColumnQuantileValuesToBeBetweenOnClickhouse(BatchExpectation):
    """The stock expectation of nearly this name, by a function that ClickHouse has; null bounds are open."""

    column: str
    quantile_ranges: dict[str, list[Any]]
    min_rows: int = 1

    metric_dependencies: ClassVar[tuple[str, ...]] = (QuantilesNow.metric_name,)
    success_keys: ClassVar[tuple[str, ...]] = ("column", "quantile_ranges", "min_rows")

    def _validate(
        self,
        metrics: _Kwargs,
        runtime_configuration: _Kwargs | None = None,  # noqa: ARG002
        execution_engine: ExecutionEngine[Any] | None = None,  # noqa: ARG002
    ) -> _Kwargs:
        rows, values = metrics[QuantilesNow.metric_name]
        lines = []
        quantiles, ranges = self.quantile_ranges["quantiles"], self.quantile_ranges["value_ranges"]
        for quantile, observed, (low, high) in zip(quantiles, values, ranges, strict=True):
            is_inside = (low is None or observed >= low) and (high is None or observed <= high)
            verdict = Verdict.EXPECTED if is_inside else Verdict.UNEXPECTED
            shown = 0.0 if math.isnan(observed) else observed
            lines.append(
                Line(
                    f"p{quantile * 100:g} of {self.column}",
                    Verdict.FEW_ROWS if rows < self.min_rows else verdict,
                    round(shown, 3),
                    low,
                    high,
                )
            )
        return _answer(Judgement(lines, rows, 0, 0))


def _answer(judgement: Judgement) -> _Kwargs:
    return {
        "success": judgement.success,
        "result": {
            "observed_value": judgement.rows_now,
            "details": {
                "lines": [asdict(line) for line in judgement.lines],
                "judged": judgement.judged,
                "rows_now": judgement.rows_now,
                "weeks_found": judgement.weeks_found,
                "weeks_needed": judgement.weeks_needed,
            },
        },
    }
