"""The demo's last step: what the marts say it all came to.

In: the demo after every model was built. Out: checks of the marts against the simulator's truth, and tables of what
finance and on-call would look at first.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from clickhouse_connect.driver.client import Client
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from ingest.demo.checks import Check
from ingest.demo.live import WORKSPACE, check_agent
from ingest.demo.steps import Demo
from ingest.warehouse import connect


@dataclass(frozen=True, slots=True)
class View:
    """A title and a query over marts; the names of its columns are the headings."""

    title: str
    query: str


# What finance and on-call read first.
VIEWS: Final = (
    View(
        "Cost by workspace (marts.workspace_cost_daily)",
        """
        select workspace_id as workspace, sum(llm_calls) as calls, round(sum(cost_usd), 2) as usd,
            round(sum(reported_cost_usd), 2) as reported, round(sum(unit_cost_usd), 2) as by_unit_cost,
            round(sum(catalogue_cost_usd), 2) as by_catalogue, sum(unpriced_llm_calls) as unpriced
        from {marts}.workspace_cost_daily group by workspace order by usd desc
        """,
    ),
    View(
        "Model calls of the last day (marts.llm_daily)",
        """
        select workspace_id as workspace, provider, model, calls, round(success_rate, 4) as succeeded,
            round(p95_latency_ms) as p95_ms, round(cache_hit_share, 3) as cache_hits, round(cost_usd, 2) as usd
        from {marts}.llm_daily where day = (select max(day) from {marts}.llm_daily) order by usd desc limit 8
        """,
    ),
    View(
        "The worst tools (marts.tool_reliability)",
        """
        select workspace_id as workspace, tool_name as tool, sum(calls) as all_calls,
            round(sum(success) / nullIf(sum(success) + sum(failure) + sum(timeout), 0), 4) as succeeded,
            argMax(top_error_class, failure + timeout) as mostly
        from {marts}.tool_reliability group by all having all_calls >= 50 order by succeeded limit 6
        """,
    ),
    View(
        "Objectives that burned fastest (marts.slo_burn)",
        """
        select objective_id as slo, workspace_id as workspace, round(max(burn_1h), 1) as fastest_1h,
            argMax(minute, burn_1h) as at, round(argMax(budget_left, minute), 1) as events_left,
            countIf(is_page_fast or is_page_slow) * 5 as minutes_paging
        from {marts}.slo_burn where is_covered group by all order by minutes_paging desc, fastest_1h desc limit 6
        """,
    ),
    View(
        "Alerts now (marts.alerts_current)",
        """
        select severity, rule_id as rule, workspace_id as workspace, subject, round(value, 3) as is_at,
            round(threshold, 3) as above, since
        from {marts}.alerts_current order by severity, rule, workspace limit 12
        """,
    ),
)


LIVE: Final = View(
    "A real agent, by OTLP through the front door (marts.llm_daily)",
    f"""
    select workspace_id as workspace, provider, model, calls, input_tokens, cache_read_tokens, output_tokens,
        round(cost_usd, 6) as usd
    from {{marts}}.llm_daily where workspace_id = '{WORKSPACE}' order by day
    """,  # noqa: S608  # a constant
)


def read_marts(demo: Demo) -> None:
    """Counts and money of the marts against what was sent, and the first look at them."""
    assert demo.produced is not None
    settings = demo.settings
    client = connect(
        settings.clickhouse,
        connect_timeout_s=settings.clickhouse_connect_timeout_s,
        request_timeout_s=settings.clickhouse_request_timeout_s,
    )
    try:
        demo.checks += _against_truth(demo, client)
        if demo.live is not None:
            demo.checks.append(check_agent(demo.live, client, settings.database("marts")))
            demo.sections.append(_show(client, LIVE, settings.database("marts")))
        demo.sections += [_show(client, view, settings.database("marts")) for view in VIEWS]
    finally:
        client.close()


def _against_truth(demo: Demo, client: Client) -> list[Check]:
    """Counts and money of the marts, which went through every model, against what the simulator handed out."""
    assert demo.produced is not None
    marts, intermediate = demo.settings.database("marts"), demo.settings.database("intermediate")
    simulated = "where workspace_id != {live:String}"
    events, calls, reported = client.query(
        f"select (select count() from {intermediate}.int_agent_events {simulated}), "  # noqa: S608  # names from settings
        f"(select sum(calls) from {marts}.llm_daily {simulated}), "
        f"(select sum(reported_cost_usd) + sum(tool_cost_usd) from {marts}.workspace_cost_daily {simulated})",
        parameters={"live": WORKSPACE},
    ).result_rows[0]
    calls_sent = sum(count for (_, kind, _), count in demo.produced.outcomes.items() if kind == "llm_call")
    reported_sent = sum(demo.produced.costs.values(), Decimal(0))
    return [
        Check("int_agent_events holds every event once", f"{demo.produced.events:,} events", f"{int(events):,} events"),
        Check("llm_daily counts every model call once", f"{calls_sent:,} calls", f"{int(calls):,} calls"),
        Check("workspace_cost_daily has what was reported, to the last place",
              f"${reported_sent:.12f}", f"${Decimal(reported):.12f}"),
    ]  # fmt: skip


def _show(client: Client, view: View, marts: str) -> RenderableType:
    found = client.query(view.query.replace("{marts}", marts))
    if not found.result_rows:
        return f"{view.title}: none"
    table = Table(*found.column_names, title=view.title, title_justify="left")
    for number, column in enumerate(table.columns):
        if all(isinstance(row[number], int | float | Decimal) for row in found.result_rows):
            column.justify = "right"
    for row in found.result_rows:
        table.add_row(*(_words(value) for value in row))
    return table


def _words(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else escape(str(value))
