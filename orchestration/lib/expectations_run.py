"""Runs suites on ClickHouse through Great Expectations and its SQLAlchemy dialect `clickhousedb://`.

In: a Look, suites, and the moment everything before which is in. Out: an Outcome a suite. Great Expectations is
imported here, inside functions, without its analytics, and keeps nothing on disk. What a suite has wrong that only
Great Expectations knows (no such expectation, kwargs it does not take) is a SettingsError with file and key.
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ingest.errors import MeterhouseError, SettingsError
from ingest.settings import Settings
from orchestration.lib.expectations_suites import Expectation, Suite
from orchestration.lib.expectations_weeks import Verdict
from orchestration.lib.quality_finding import Look, Number, loaded_topics
from orchestration.lib.quality_manifest import database_of

if TYPE_CHECKING:
    from great_expectations.data_context.data_context.ephemeral_data_context import EphemeralDataContext
    from great_expectations.datasource.fluent.sql_datasource import SQLDatasource

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Result:
    """One expectation's result. `lines` are comparisons as people read them; an expectation of theirs has one."""

    expectation: Expectation
    success: bool
    lines: Sequence[Mapping[str, Number]]
    error: str = ""
    judged: int = 1
    weeks_found: int | None = None
    weeks_needed: int | None = None

    @property
    def is_short_of_history(self) -> bool:
        return self.weeks_needed is not None and self.weeks_found is not None and self.weeks_found < self.weeks_needed


@dataclass(frozen=True)
class Outcome:
    """One suite's results on one hour. `sql` is what the batch was."""

    suite: Suite
    as_of: datetime
    hour: datetime
    sql: str
    results: Sequence[Result]

    @property
    def failed(self) -> list[Result]:
        return [one for one in self.results if not one.success]


def last_complete_hour(as_of: datetime) -> datetime:
    """The start of the newest hour that is wholly in."""
    return as_of.astimezone(UTC).replace(minute=0, second=0, microsecond=0) - HOUR


def placeholders(settings: Settings, as_of: datetime, past_weeks: int) -> dict[str, str]:
    """What a suite's query may name, as SQL."""
    hour = last_complete_hour(as_of)
    hours = [hour - timedelta(weeks=week) for week in range(past_weeks + 1)]
    return {
        "raw": f"`{settings.database('raw')}`",
        "raw_name": f"'{settings.database('raw')}'",
        "ops": f"`{settings.database('ops')}`",
        "intermediate": f"`{database_of(settings, 'intermediate')}`",
        "marts": f"`{database_of(settings, 'marts')}`",
        "as_of": _literal(as_of),
        "hour": _literal(hour),
        "same_hours": ", ".join(_literal(one) for one in hours),
        "topics": ", ".join("'" + topic.replace("'", "''") + "'" for topic in loaded_topics(settings)),
    }


def run_suites(look: Look, suites: Sequence[Suite], as_of: datetime) -> Iterator[tuple[Suite, Outcome | Exception]]:
    """Each suite's outcome, or what kept it from running; one suite never keeps another from running."""
    with _connected(look.settings) as (context, source):
        for suite in suites:
            try:
                yield suite, _run(context, source, look.settings, suite, as_of)
            except Exception as error:  # noqa: BLE001  # Great Expectations raises anything; the check says what
                yield suite, error


@contextmanager
def _connected(settings: Settings) -> "Iterator[tuple[EphemeralDataContext, SQLDatasource]]":
    # Before the import, which reads it.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from great_expectations.exceptions.exceptions import GreatExpectationsError

    from orchestration.lib import expectations_custom  # noqa: F401  # registers our expectations

    # It tells every metric of every expectation.
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(enable=False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    try:
        source = context.data_sources.add_sql("clickhouse", connection_string=_address(settings))
    except GreatExpectationsError as error:
        words = _words(error).replace(settings.clickhouse.password or "\0", "…")
        raise MeterhouseError(f"ClickHouse at {settings.clickhouse.public} cannot be asked: {words}") from None
    try:
        yield context, source
    finally:
        source.get_engine().dispose()


def _run(
    context: "EphemeralDataContext", source: "SQLDatasource", settings: Settings, suite: Suite, as_of: datetime
) -> Outcome:
    import great_expectations as gx

    sql = suite.fill(placeholders(settings, as_of, suite.past_weeks))
    batch = source.add_query_asset(suite.file.stem, query=sql).add_batch_definition_whole_table("all")
    made = gx.ExpectationSuite(name=suite.file.stem)
    for index, one in enumerate(suite.expectations):
        made.add_expectation(_expectation(suite, index, one))
    validation = gx.ValidationDefinition(name=suite.file.stem, data=batch, suite=context.suites.add(made))
    ran = context.validation_definitions.add(validation).run(result_format="SUMMARY")
    # They come back in an order of their own; the index went along as meta.
    found = {int(one.expectation_config.meta["index"]): one for one in ran.results if one.expectation_config}
    results = [_result(one, found[index]) for index, one in enumerate(suite.expectations)]
    return Outcome(suite, as_of, last_complete_hour(as_of), sql, results)


def _expectation(suite: Suite, index: int, one: Expectation) -> Any:  # theirs, which says Any
    from great_expectations.exceptions.exceptions import ExpectationNotFoundError
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.metadata_types import FailureSeverity

    key = f"{suite.shown}, key expectations[{index}]"
    made = ExpectationConfiguration(
        type=one.type,
        kwargs=dict(one.kwargs),
        meta={"index": index},
        severity=FailureSeverity(one.severity),
        notes=one.notes or None,
    )
    try:
        return made.to_domain_obj()
    except ExpectationNotFoundError:
        raise SettingsError(
            f"{key}.type: expected an expectation that Great Expectations or Meterhouse has, came {one.type!r}. "
            "Correct it."
        ) from None
    except ValueError as error:
        raise SettingsError(f"{key}.kwargs of {one.type}: {_words(error)}. Correct it.") from None


def _result(expectation: Expectation, found: Any) -> Result:  # as above
    raised = _raised(found.exception_info)
    if raised:
        return Result(expectation, success=False, lines=[], error=raised, judged=0)
    result = found.to_json_dict()["result"]
    details = result.get("details") or {}
    if isinstance(details, dict) and "lines" in details:
        return Result(
            expectation,
            bool(found.success),
            details["lines"],
            judged=details["judged"],
            weeks_found=details["weeks_found"],
            weeks_needed=details["weeks_needed"],
        )
    observed = result.get("observed_value", result.get("unexpected_percent"))
    verdict = Verdict.EXPECTED if found.success else Verdict.UNEXPECTED
    subject = expectation.kwargs.get("column", "")
    line = {
        "subject": f"{expectation.type} {subject}".strip(),
        "verdict": verdict.value,
        "observed": str(observed)[:500],
    }
    unexpected = result.get("partial_unexpected_list") or (details if isinstance(details, list | dict) else None)
    if unexpected and not found.success:
        line["observed"] += f"; unexpected: {str(unexpected)[:500]}"
    return Result(expectation, bool(found.success), [{**line, "low": None, "high": None}])


def _raised(info: Mapping[str, Any]) -> str:
    """The message of what an expectation raised; Great Expectations nests it by metric."""
    if info.get("raised_exception"):
        return _first_line(str(info.get("exception_message")))
    for one in info.values():
        if isinstance(one, Mapping) and one.get("raised_exception"):
            return _first_line(str(one.get("exception_message")))
    return ""


def _address(settings: Settings) -> str:
    from sqlalchemy import URL

    address = settings.clickhouse
    url = URL.create(
        "clickhousedb",
        username=address.username,
        password=address.password or None,
        host=address.host,
        port=address.port,
        database="default",
        query={
            "connect_timeout": str(round(settings.clickhouse_connect_timeout_s)),
            "send_receive_timeout": str(round(settings.clickhouse_request_timeout_s)),
            **({"secure": "true"} if address.secure else {}),
        },
    )
    return url.render_as_string(hide_password=False)


def _literal(moment: datetime) -> str:
    return f"toDateTime('{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}', 'UTC')"


def _words(error: BaseException) -> str:
    return _first_line(str(error))


def _first_line(text: str) -> str:
    return " ".join(text.split())[:400]
