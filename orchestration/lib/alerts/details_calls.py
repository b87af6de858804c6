"""What fails or is slow: agents, models, tools and error classes, from marts of calls and objectives."""

from typing import Final

from orchestration.lib.alerts.asking import Asker, Row, named, of
from orchestration.lib.alerts.details_pipeline import partitions
from orchestration.lib.alerts.rules import span

_EVERYTHING: Final[Row] = {"agent": "*", "model": "*"}


def budget_of_objective(asker: Asker) -> None:
    rows = asker.rows(
        "select owner, burn_5m, burn_1h, burn_6h, budget_left, hours_to_empty, minute from <marts>.slo_burn "
        "where objective_id = {subject:String} and workspace_id = {workspace:String} "
        "and minute >= {until:DateTime('UTC')} - interval 30 minute and minute < {until:DateTime('UTC')} "
        "order by minute desc limit 1"
    )
    for row in rows:
        asker.found.owner = str(row["owner"])
        asker.found.how_bad += [
            f"burn {of(row, 'burn_5m'):.3g} / {of(row, 'burn_1h'):.3g} / {of(row, 'burn_6h'):.3g} in 5 min / 1 h / 6 h",
            f"{100 * of(row, 'budget_left'):.3g} % of the budget left",
            "the budget is empty"
            if row["hours_to_empty"] == 0
            else f"empty in {span(3600 * of(row, 'hours_to_empty'))} at this rate"
            if row["hours_to_empty"] is not None
            else "nothing burned in the last hour",
        ]


def events_of_objective(asker: Asker) -> None:
    rows = asker.rows(
        "select sum(bad) as bad, sum(valid) as valid from <marts>.slo_5m where objective_id = {subject:String} "
        "and workspace_id = {workspace:String} and minute >= {until:DateTime('UTC')} - interval 1 hour "
        "and minute < {until:DateTime('UTC')}"
    )
    if rows and of(rows[0], "valid"):
        asker.found.hurts.append(
            f"{of(rows[0], 'bad'):,.0f} of {of(rows[0], 'valid'):,.0f} events bad in the last hour"
        )


def contributors_of_objective(asker: Asker) -> None:
    objectives = asker.rows(
        "select indicator, agent, model, tool_name, threshold from <intermediate>.slo_objectives "
        "where id = {subject:String} limit 1"
    )
    objective = objectives[0] if objectives else {"indicator": "llm_success", "agent": "*", "model": "*"}
    match objective["indicator"]:
        case "tool_success":
            tools(asker, str(objective["tool_name"]))
        case "run_success":
            runs(asker)
        case "freshness":
            partitions(asker)
        case "llm_latency":
            failing_or_slow(asker, objective, "slow")
        case _:
            failing_or_slow(asker, objective, "failed")


def failing_or_slow(asker: Asker, objective: Row, judged: str) -> None:
    """The agents and models with most failed calls, or most calls in minutes whose p95 was over the threshold."""
    model = str(objective["model"])
    provider, _, name = model.rpartition("/")
    bad = "sum(errors)" if judged == "failed" else "sumIf(calls, p95_latency_ms > {threshold:Float64})"
    rows = asker.rows(
        f"select agent, model, {bad} as bad, sum(calls) as all_calls, max(p95_latency_ms) as p95_ms "  # noqa: S608
        "from <marts>.agent_metrics_1m where workspace_id = {workspace:String} "
        "and minute >= {recent:DateTime('UTC')} and minute < {until:DateTime('UTC')} "
        "and ({agent:String} = '*' or agent = {agent:String}) "
        "and ({model:String} in ('*', '') or model = {model:String}) "
        "and ({provider:String} = '' or model in (select distinct model from <marts>.llm_hourly "
        "where workspace_id = {workspace:String} and provider = {provider:String} "
        "and hour >= {until:DateTime('UTC')} - interval 2 day)) "
        "group by agent, model having bad > 0 order by bad desc, agent, model limit 3",
        recent=asker.recent, agent=str(objective["agent"]), model=name, provider=provider,
        threshold=objective.get("threshold") or 0,
    )  # fmt: skip
    classes = error_classes(asker) if judged == "failed" and rows else {}
    for row in rows:
        agent, model = str(row["agent"]), str(row["model"])
        what = f"{of(row, 'bad'):,.0f} of {of(row, 'all_calls'):,.0f} calls failed"
        if judged == "slow":
            what = f"{of(row, 'bad'):,.0f} calls in slow minutes, p95 up to {span(of(row, 'p95_ms') / 1000)}"
        mostly = classes.get((agent, model), "")
        asker.found.contributors.append(
            f"{named(agent, 'agent')} on {named(model, 'model')}: {what}{f', mostly {mostly}' if mostly else ''}"
        )


def error_classes(asker: Asker) -> dict[tuple[str, str], str]:
    """The most frequent error class of the days it has lasted, by agent and model."""
    rows = asker.rows(
        "select agent, model, argMax(error_class, n) as error_class from (select agent, model, error_class, "
        "sum(events) as n from <marts>.error_breakdown_daily where workspace_id = {workspace:String} "
        "and event_type = 'llm_call' and day >= toDate({recent:DateTime('UTC')}) "
        "group by agent, model, error_class) group by agent, model",
        recent=asker.recent,
    )
    return {(str(row["agent"]), str(row["model"])): str(row["error_class"]) for row in rows}


def failing_calls(asker: Asker) -> None:
    failing_or_slow(asker, _EVERYTHING, "failed")
    rows = asker.rows(
        "select sum(errors) as bad, sum(calls) as all_calls, uniqExactIf(agent, errors > 0) as agents "
        "from <marts>.agent_metrics_1m where workspace_id = {workspace:String} "
        "and minute >= {recent:DateTime('UTC')} and minute < {until:DateTime('UTC')}",
        recent=asker.recent,
    )
    if rows and of(rows[0], "all_calls"):
        asker.found.hurts.append(
            f"{of(rows[0], 'bad'):,.0f} of {of(rows[0], 'all_calls'):,.0f} model calls of the workspace, "
            f"{of(rows[0], 'agents'):.0f} agents"
        )


def tools(asker: Asker, tool_name: str) -> None:
    rows = asker.rows(
        "select tool_name, sum(failure + timeout) as bad, sum(calls) as all_calls, "
        "argMax(top_error_class, failure + timeout) as error_class, max(p95_latency_ms) as p95_ms "
        "from <marts>.tool_reliability where workspace_id = {workspace:String} "
        "and hour >= toStartOfHour({recent:DateTime('UTC')}) and hour < {until:DateTime('UTC')} "
        "and ({tool:String} = '*' or tool_name = {tool:String}) "
        "group by tool_name having bad > 0 order by bad desc, tool_name limit 3",
        recent=asker.recent, tool=tool_name,
    )  # fmt: skip
    for row in rows:
        asker.found.contributors.append(
            f"tool {row['tool_name']}: {of(row, 'bad'):,.0f} of {of(row, 'all_calls'):,.0f} calls failed"
            f"{', mostly ' + str(row['error_class']) if row['error_class'] else ''}"
            f"{', p95 ' + span(of(row, 'p95_ms') / 1000) if row['p95_ms'] else ''}"
        )


def runs(asker: Asker) -> None:
    rows = asker.rows(
        "select agent, sum(failed_runs) as bad, sum(runs) as all_runs from <marts>.agent_health_daily "
        "where workspace_id = {workspace:String} and day >= toDate({recent:DateTime('UTC')}) "
        "group by agent having bad > 0 order by bad desc, agent limit 3",
        recent=asker.recent,
    )
    for row in rows:
        asker.found.contributors.append(
            f"{named(row['agent'], 'agent')}: {of(row, 'bad'):,.0f} of {of(row, 'all_runs'):,.0f} runs failed"
        )


def new_errors(asker: Asker) -> None:
    rows = asker.rows(
        "select agent, model, tool_name, error_class, sum(events) as n from <marts>.error_breakdown_daily "
        "where workspace_id = {workspace:String} and is_new and day >= toDate({until:DateTime('UTC')}) - 1 "
        "group by agent, model, tool_name, error_class order by n desc limit 3"
    )
    for row in rows:
        on = row["model"] or row["tool_name"] or "an error event"
        asker.found.contributors.append(
            f"{named(row['agent'], 'agent')} on {on}: {of(row, 'n'):,.0f} times {row['error_class']}"
        )


def failing_tools(asker: Asker) -> None:
    tools(asker, "*")
