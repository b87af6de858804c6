"""Who spends it: agents and models by cost, the month so far, and calls without a price."""

from collections.abc import Sequence

from orchestration.lib.alerts.asking import Asker, Row, named, of


def spenders(asker: Asker) -> None:
    rows = asker.rows(
        "select agent, model, sum(cost_usd) as usd, sum(calls) as all_calls from <marts>.llm_hourly "
        "where workspace_id = {workspace:String} and hour >= toStartOfDay({since:DateTime('UTC')}) "
        "and hour < {until:DateTime('UTC')} group by agent, model having usd > 0 order by usd desc limit 3"
    )
    say_spending(asker, rows)


def burst(asker: Asker) -> None:
    rows = asker.rows(
        "select agent, model, sum(cost_usd) as usd, sum(calls) as all_calls from <marts>.agent_metrics_1m "
        "where workspace_id = {workspace:String} and minute >= {since:DateTime('UTC')} "
        "and minute < {until:DateTime('UTC')} and agent in {subjects:Array(String)} "
        "group by agent, model having usd > 0 order by usd desc limit 3"
    )
    say_spending(asker, rows)


def say_spending(asker: Asker, rows: Sequence[Row]) -> None:
    for row in rows:
        asker.found.contributors.append(
            f"{named(row['agent'], 'agent')} on {named(row['model'], 'model')}: USD {of(row, 'usd'):,.2f} "
            f"in {of(row, 'all_calls'):,.0f} calls"
        )


def month(asker: Asker) -> None:
    rows = asker.rows(
        "select cost_usd, month_cost_usd, forecast_month_cost_usd from <marts>.workspace_cost_daily "
        "where workspace_id = {workspace:String} and day <= toDate({until:DateTime('UTC')}) order by day desc limit 1"
    )
    for row in rows:
        forecast = row["forecast_month_cost_usd"]
        asker.found.how_bad.append(
            f"USD {of(row, 'cost_usd'):,.2f} today, {of(row, 'month_cost_usd'):,.2f} this month"
            + (f", {of(row, 'forecast_month_cost_usd'):,.2f} by its end" if forecast is not None else "")
        )


def owner_of_budget(asker: Asker) -> None:
    rows = asker.rows(
        "select owner from <marts>.budget_spent_daily where workspace_id = {workspace:String} "
        "and day = toDate({until:DateTime('UTC')}) "
        "and endsWith({subject:String}, trimRight(concat(scope, ' ', subject))) limit 1"
    )
    asker.found.owner = str(rows[0]["owner"]) if rows else ""


def unpriced(asker: Asker) -> None:
    rows = asker.rows(
        "select provider, model, sum(llm_calls) as n from <marts>.unpriced_usage "
        "where workspace_id = {workspace:String} and day >= toDate({until:DateTime('UTC')}) - 1 "
        "group by provider, model order by n desc limit 3"
    )
    for row in rows:
        name = f"{row['provider']}/{row['model']}".strip("/")
        asker.found.contributors.append(f"{named(name, 'model')}: {of(row, 'n'):,.0f} calls without a price")
