"""What dashboards ask of the marts: a fixed list, each query run twenty times in turn, timed where a client waits."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from clickhouse_connect.driver.client import Client

# {workspace} is the busiest one, {objective} the one with most traffic, {as_of} the newest moment the models know.
QUERIES: Final[Mapping[str, str]] = {
    "models of a workspace, 7 days": (
        "select day, provider, model, calls, success_rate, p95_latency_ms, cost_usd from marts.llm_daily "
        "where workspace_id = {workspace:String} and day > toDate({as_of:DateTime('UTC')}) - 7 order by day, cost_usd"
    ),
    "calls, errors and p95 a minute, last hour": (
        "select minute, sum(calls), sum(errors), max(p95_latency_ms) from marts.agent_metrics_1m "
        "where minute > {as_of:DateTime('UTC')} - interval 1 hour group by minute order by minute"
    ),
    "agents of a workspace a minute, last day": (
        "select minute, agent, sum(calls), sum(errors) / sum(calls) from marts.agent_metrics_1m "
        "where workspace_id = {workspace:String} and minute > {as_of:DateTime('UTC')} - interval 1 day "
        "group by minute, agent order by minute"
    ),
    "tools of a day": (
        "select tool_name, sum(calls), sum(failure), sum(timeout), min(success_rate_low) from marts.tool_reliability "
        "where hour > {as_of:DateTime('UTC')} - interval 1 day group by tool_name order by 3 desc"
    ),
    "cost of the month by workspace": (
        "select workspace_id, day, cost_usd, month_cost_usd, month_budget_spent_share from marts.workspace_cost_daily "
        "where day >= toStartOfMonth({as_of:DateTime('UTC')}) order by workspace_id, day"
    ),
    "dearest actors, 30 days": (
        "select actor_id, sum(cost_usd), sum(llm_calls) from marts.cost_by_actor_daily "
        "where workspace_id = {workspace:String} and day > toDate({as_of:DateTime('UTC')}) - 30 "
        "group by actor_id order by 2 desc limit 10"
    ),
    "agents' health, 30 days": (
        "select day, agent, runs, success_rate, p95_duration_ms, cost_per_run_usd from marts.agent_health_daily "
        "where workspace_id = {workspace:String} and day > toDate({as_of:DateTime('UTC')}) - 30 order by day"
    ),
    "errors of a day": (
        "select agent, error_class, sum(events), max(is_new) from marts.error_breakdown_daily "
        "where day = toDate({as_of:DateTime('UTC')}) group by agent, error_class order by 3 desc limit 50"
    ),
    "burn of an objective, 3 days": (
        "select minute, workspace_id, burn_1h, burn_6h, budget_left from marts.slo_burn "
        "where objective_id = {objective:String} and minute > {as_of:DateTime('UTC')} - interval 3 day order by minute"
    ),
    "all objectives now": (
        "select objective_id, workspace_id, burn_1h, budget_left, hours_to_empty from marts.slo_burn "
        "where minute > {as_of:DateTime('UTC')} - interval 10 minute order by budget_left"
    ),
    "alerts_current": "select * from marts.alerts_current",
    "the pipeline, last hour": (
        "select minute, landed, duplicates, rejected, landed_after_p95_ms, lag_messages from marts.pipeline_health "
        "where minute > {as_of:DateTime('UTC')} - interval 1 hour order by minute"
    ),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One query's times in milliseconds, from sending it to its last row, and the rows it gave."""

    name: str
    rows: int
    p50_ms: float
    p95_ms: float


def ask(client: Client, times: int) -> list[Asked]:
    """Each of QUERIES `times` times, round by round, after one that is not counted."""
    known = client.query("select as_of from marts.slo_clock").result_rows[0]
    busiest = client.query(
        "select workspace_id from marts.llm_daily group by workspace_id order by sum(calls) desc limit 1"
    ).result_rows[0]
    objective = client.query(
        "select objective_id from marts.slo_5m group by objective_id order by sum(valid) desc limit 1"
    ).result_rows[0]
    given = {"as_of": known[0], "workspace": busiest[0], "objective": objective[0]}
    rows = {name: len(client.query(sql, parameters=given).result_rows) for name, sql in QUERIES.items()}
    took: dict[str, list[float]] = {name: [] for name in QUERIES}
    for _ in range(times):
        for name, sql in QUERIES.items():
            began = time.perf_counter()
            client.query(sql, parameters=given)
            took[name].append((time.perf_counter() - began) * 1000)
    answers = []
    for name, times_ms in took.items():
        p50, p95 = (float(value) for value in np.percentile(times_ms, [50, 95]))
        answers.append(Asked(name, rows[name], p50, p95))
    return answers
