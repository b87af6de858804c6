"""The checks of the suites: each suite run once, its page written, its finding made.

In: a Look, suites and the completeness watermark. Out: (suite, Finding) for each, in their order; a suite that cannot
run is a finding that fails and says why.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from dagster import MetadataValue

from ingest.errors import MeterhouseError
from orchestration.lib.expectations_finding import judge_outcome
from orchestration.lib.expectations_page import render_markdown, write_page
from orchestration.lib.expectations_run import run_suites
from orchestration.lib.expectations_suites import Suite
from orchestration.lib.quality_finding import Finding, Level, Look
from orchestration.lib.quality_manifest import database_of


def check_suites(look: Look, suites: Sequence[Suite], as_of: datetime) -> Iterator[tuple[Suite, Finding]]:
    """Raises MeterhouseError where ClickHouse cannot be asked at all."""
    for suite, outcome in run_suites(look, suites, as_of):
        if isinstance(outcome, Exception):
            words = " ".join(str(outcome).split())[:500] or type(outcome).__name__
            kind = "" if isinstance(outcome, MeterhouseError) else f"{suite.shown} could not be carried out: "
            yield suite, Finding(Level.ERROR, f"{kind}{words}", {"expectations": len(suite.expectations)})
            continue
        page = write_page(outcome, look.settings.home, datetime.now(UTC))
        more = {"result": MetadataValue.md(render_markdown(outcome)), "page": MetadataValue.path(str(page))}
        yield suite, judge_outcome(outcome, more)


def watermark(look: Look) -> datetime | None:
    """Up to when the models have everything, from int_clock; None before they were built or while it is not known."""
    database = database_of(look.settings, "intermediate")
    there = look.client.query(
        "select count() from system.tables where database = {database:String} and name = 'int_clock'",
        parameters={"database": database},
    ).result_rows[0][0]
    if not there:
        return None
    rows = look.client.query(f"select as_of from `{database}`.int_clock").result_rows  # noqa: S608  # checked settings
    if not rows or rows[0][0].year <= 1970:
        return None
    as_of: datetime = rows[0][0]
    return as_of.replace(tzinfo=UTC) if as_of.tzinfo is None else as_of.astimezone(UTC)
