"""What each rule means in words, in which unit it measures, and which statement shows more. Pure.

A rule that is not here (somebody added an alert model) is told all the same, in plainer words.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final
from urllib.parse import quote

from orchestration.lib.alerts.model import BOUNDLESS, Signal


class Unit(Enum):
    """What value and threshold are."""

    BURN = "burn"
    SHARE = "share"
    USD = "USD"
    USD_A_MINUTE = "USD a minute"
    SECONDS = "seconds"
    MILLISECONDS = "ms"
    EVENTS = "events"
    RUNS = "runs"
    PLAIN = ""


class About(Enum):
    """Which figures and contributors a message about the rule has."""

    OBJECTIVE = "objective"
    CALLS = "calls"
    NEW_ERRORS = "new errors"
    COST = "cost"
    BURST = "burst"
    UNPRICED = "unpriced"
    TOOLS = "tools"
    SILENCE = "silence"
    DEAD_LETTERS = "dead letters"
    PIPELINE = "pipeline"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Meaning:
    """`query` is SQL with {workspace}, {subject} and {marts} to fill in."""

    what: str
    unit: Unit
    about: About
    query: str


_BURN_QUERY: Final = (
    "select minute, burn_5m, burn_1h, burn_6h, burn_1d, budget_left, hours_to_empty from {marts}.slo_burn "
    "where objective_id = {subject} and workspace_id = {workspace} order by minute desc limit 48"
)
_CALLS_QUERY: Final = (
    "select minute, agent, model, calls, errors, p95_latency_ms from {marts}.agent_metrics_1m "
    "where workspace_id = {workspace} order by minute desc, errors desc limit 200"
)
_SLO_QUERY: Final = (
    "select minute, good, valid, bad from {marts}.slo_5m where objective_id = {subject} "
    "and workspace_id = {workspace} order by minute desc limit 48"
)
_COST_QUERY: Final = (
    "select day, agent, cost_usd, cost_share from {marts}.cost_by_agent_daily where workspace_id = {workspace} "
    "order by day desc, cost_usd desc limit 50"
)
_DAY_QUERY: Final = (
    "select day, cost_usd, expected_cost_usd, llm_calls, unpriced_llm_calls from {marts}.workspace_cost_daily "
    "where workspace_id = {workspace} order by day desc limit 14"
)
_ANY_QUERY: Final = "select * from {marts}.alerts_current where workspace_id = {workspace}"

MEANINGS: Final[Mapping[str, Meaning]] = {
    "burn_page": Meaning(
        "The error budget of an objective goes so fast that somebody acts now.", Unit.BURN, About.OBJECTIVE, _BURN_QUERY
    ),
    "burn_ticket": Meaning(
        "The error budget of an objective goes faster than it lasts.", Unit.BURN, About.OBJECTIVE, _BURN_QUERY
    ),
    "tool_success": Meaning(
        "Tool calls succeed less often than promised.", Unit.SHARE, About.OBJECTIVE, _SLO_QUERY
    ),
    "tool_latency": Meaning(
        "Calls of a tool take several times as long as usual.", Unit.MILLISECONDS, About.TOOLS,
        "select hour, calls, timeout, p50_latency_ms, p95_latency_ms, top_error_class from {marts}.tool_reliability "
        "where workspace_id = {workspace} and tool_name = {subject} order by hour desc limit 48",
    ),
    "latency_p90": Meaning(
        "More than a tenth of the model calls are slower than promised.", Unit.SHARE, About.OBJECTIVE, _SLO_QUERY
    ),
    "latency_p95": Meaning(
        "More than a twentieth of the model calls are slower than promised.", Unit.SHARE, About.OBJECTIVE, _SLO_QUERY
    ),
    "error_rate": Meaning("An agent's model calls fail.", Unit.SHARE, About.CALLS, _CALLS_QUERY),
    "error_rate_15m": Meaning("Calls of a model fail.", Unit.SHARE, About.CALLS, _CALLS_QUERY),
    "new_error_class": Meaning(
        "Something fails in a way it did not in the seven days before.", Unit.EVENTS, About.NEW_ERRORS,
        "select * from {marts}.error_breakdown_daily where is_new and day >= today() - 1 "
        "and workspace_id = {workspace} order by events desc",
    ),
    "budget_hard": Meaning("More is spent than may be spent at most.", Unit.USD, About.COST, _COST_QUERY),
    "budget_soft": Meaning("More is spent than was planned.", Unit.USD, About.COST, _COST_QUERY),
    "spend_anomaly": Meaning("A day's spending is far from what is usual.", Unit.USD, About.COST, _DAY_QUERY),
    "cost_per_minute": Meaning(
        "An agent costs several times a minute what it is used to.", Unit.USD_A_MINUTE, About.BURST,
        "select minute, agent, model, calls, cost_usd from {marts}.agent_metrics_1m where workspace_id = {workspace} "
        "and agent = {subject} order by minute desc limit 100",
    ),
    "unpriced_share": Meaning(
        "Model calls have no price, so costs are too low.", Unit.SHARE, About.UNPRICED,
        "select * from {marts}.unpriced_usage where workspace_id = {workspace} and day >= today() - 1 "
        "order by llm_calls desc",
    ),
    "no_events": Meaning(
        "No event comes at an hour that always had some.", Unit.EVENTS, About.SILENCE,
        "select minute, events from {marts}.slo_traffic_5m where workspace_id = {workspace} "
        "order by minute desc limit 48",
    ),
    "dead_letter_share": Meaning(
        "Messages are refused more often than they may be.", Unit.SHARE, About.DEAD_LETTERS,
        "select minute, landed, rejected, rejected_by_class from {marts}.pipeline_health where topic = {subject} "
        "order by minute desc limit 60",
    ),
    "pipeline_behind": Meaning(
        "What has landed is too old, or how old is not known: nothing later is judged, and no other alert can begin.",
        Unit.SECONDS, About.PIPELINE, "select * from {marts}.slo_clock",
    ),
    "asset_stale": Meaning(
        "A table is older than it may be: what is built from it, alerts too, judges the past.", Unit.SECONDS,
        About.NOTHING, "select * from {ops}.model_builds order by built_at desc limit 50",
    ),
    "run_failed": Meaning(
        "A run of Dagster failed, and none of its kind succeeded since.", Unit.RUNS, About.NOTHING,
        "select * from {ops}.model_builds order by built_at desc limit 50",
    ),
    "warehouse_unreachable": Meaning(
        "ClickHouse does not answer: nothing is judged, and no other alert can be kept or sent.", Unit.SECONDS,
        About.NOTHING, "select 1",
    ),
}  # fmt: skip


# What is seen in Dagster is looked up there; paths of its pages.
_PAGES: Final[Mapping[str, str]] = {"run_failed": "/runs?q%5B0%5D=status%3AFAILURE", "asset_stale": "/assets"}


def page_link(base: str, rule_id: str) -> str:
    """The page of Dagster that shows more; nothing for a rule that is not Dagster's, or without a base."""
    page = _PAGES.get(rule_id)
    return f"{base.rstrip('/')}{page}" if base and page else ""


def meaning(rule_id: str) -> Meaning:
    """Of a rule; a plain one where nobody wrote one down."""
    return MEANINGS.get(rule_id) or Meaning(f"The rule {rule_id} holds.", Unit.PLAIN, About.CALLS, _ANY_QUERY)


def figures(signal: Signal) -> str:
    """Value and threshold in words: "burn 16.7 (limit 14.4)"."""
    unit = meaning(signal.rule_id).unit
    if unit is Unit.RUNS:
        return f"{signal.value:.0f} failed in a row"
    limit = amount(signal.threshold, unit).removeprefix("burn ")
    return f"{amount(signal.value, unit)} (limit {limit})"


def amount(value: float, unit: Unit) -> str:
    """A quantity with its unit, short enough for a telephone."""
    if value >= BOUNDLESS:
        return "without bound"
    match unit:
        case Unit.BURN:
            return f"burn {value:.3g}"
        case Unit.SHARE:
            return f"{100 * value:.3g} %"
        case Unit.USD:
            return f"USD {value:,.2f}"
        case Unit.USD_A_MINUTE:
            return f"USD {value:,.3g} a minute"
        case Unit.SECONDS:
            return span(value)
        case Unit.MILLISECONDS:
            return span(value / 1000)
        case Unit.EVENTS:
            return f"{value:,.4g} events"
        case _:
            return f"{value:,.4g}"


def span(seconds: float) -> str:
    """45 s, 12 min, 3.5 h, 2.1 d"""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def statement(signal: Signal, *, marts: str, ops: str) -> str:
    """The SQL that shows more, ready to run."""
    return meaning(signal.rule_id).query.format(
        marts=marts, ops=ops, workspace=_literal(signal.workspace_id), subject=_literal(signal.subject)
    )


def query_link(base: str, sql: str) -> str:
    """`base` with the SQL behind it, URL-encoded; nothing without a base."""
    return f"{base}{quote(sql, safe='')}" if base else ""


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
