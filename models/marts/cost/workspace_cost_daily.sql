{{ config(materialized='table', order_by=['day', 'workspace_id']) }}

-- A row a day of a workspace is small by nature, so this is made whole each time: a late row
-- changes the month to date, the forecasts and the baselines of eight weeks behind it, and no event
-- is read for that.

with

history as (
    select * from {{ ref('int_workspace_cost_history') }}
),

budgets as (
    select * from {{ ref('budgets') }}
    where agent = '' and actor_id = ''
),

-- A whole day is known and the forecast starts behind it; the running day is forecast itself, and
-- is at least what it has cost already.
with_pace as (
    select
        *,
        length(same_weekdays) as baseline_days,
        arraySum(same_weekdays) / nullIf(baseline_days, 0) as expected_cost_usd,
        greatest(
            coalesce(
                sqrt(
                    arraySum(
                        cost -> pow(toFloat64(cost - coalesce(expected_cost_usd, 0)), 2),
                        same_weekdays
                    ) / nullIf(baseline_days - 1, 0)
                ),
                0
            ),
            {{ cost_policy('anomaly_floor') }} * toFloat64(expected_cost_usd)
        ) as deviation_usd,
        if(is_complete, arrayPushBack(days_before, cost_usd), days_before) as known_days,
        toInt64(toLastDayOfMonth(day) - day) + if(is_complete, 0, 1) as days_to_come,
        arrayMap(
            ahead -> arrayFilter(
                (cost, number) -> (length(known_days) - number + ahead) % 7 = 0,
                known_days,
                arrayEnumerate(known_days)
            ),
            range(1, 8)
        ) as by_weekday
    from history
),

with_forecast as (
    select
        *,
        if(length(known_days) = 0, cost_usd, {{ median_usd('known_days') }}) as usual_day_usd,
        arrayMap(
            costs -> if(length(costs) < 2, usual_day_usd, {{ median_usd('costs') }}),
            by_weekday
        ) as weekday_costs,
        arraySum(arrayMap(
            (cost, ahead) ->
            cost * if(days_to_come < ahead, 0, intDiv(days_to_come - ahead, 7) + 1),
            weekday_costs,
            range(1, 8)
        )) as cost_to_come_usd,
        if(is_complete, toDecimal128(0, 12), least(cost_usd, weekday_costs[1]))
            as counted_twice_usd,
        month_cost_usd + cost_to_come_usd - counted_twice_usd as forecast_month_cost_usd,
        if(
            baseline_days < {{ cost_policy('anomaly_min_days') }} or deviation_usd = 0,
            null,
            round((toFloat64(cost_usd) - toFloat64(expected_cost_usd)) / deviation_usd, 6)
        ) as cost_z_score
    from with_pace
),

-- The workspace's own budget goes before the one of everybody, as a whole.
with_own_budget as (
    select
        with_forecast.*,
        budgets.budget_id is not null as has_own_budget,
        (soft_usd_day, hard_usd_day, soft_usd_month, hard_usd_month) as own_amounts
    from with_forecast
    left join budgets
        on with_forecast.workspace_id = budgets.workspace_id
),

with_budget as (
    select
        with_own_budget.*,
        if(has_own_budget, own_amounts, everybody.amounts) as limits,
        limits.1 as soft_usd_day,
        limits.2 as hard_usd_day,
        limits.3 as soft_usd_month,
        limits.4 as hard_usd_month,
        coalesce(hard_usd_day, soft_usd_day) as day_budget_usd,
        coalesce(hard_usd_month, soft_usd_month) as month_budget_usd
    from with_own_budget
    cross join (
        select
            any(
                (soft_usd_day, hard_usd_day, soft_usd_month, hard_usd_month)
            ) as amounts
        from budgets
        where workspace_id = '*'
    ) as everybody
),

final as (
    select
        day,
        workspace_id,
        is_complete,
        reported_cost_usd,
        unit_cost_usd,
        catalogue_cost_usd,
        llm_cost_usd,
        tool_cost_usd,
        cost_usd,
        reported_run_cost_usd,
        llm_calls,
        toUInt64(llm_calls - priced_llm_calls) as unpriced_llm_calls,
        tool_calls,
        {{ share('priced_llm_calls', 'llm_calls') }} as priced_call_rate,
        {{ share('priced_tokens', '(input_tokens + output_tokens)') }} as priced_token_rate,
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
        reasoning_tokens,
        events,
        runs,
        active_actors,
        month_cost_usd,
        forecast_month_cost_usd,
        soft_usd_day as day_soft_budget_usd,
        hard_usd_day as day_hard_budget_usd,
        soft_usd_month as month_soft_budget_usd,
        hard_usd_month as month_hard_budget_usd,
        {{ money_share('cost_usd', 'day_budget_usd') }} as day_budget_spent_share,
        {{ money_share('month_cost_usd', 'month_budget_usd') }} as month_budget_spent_share,
        {{ money_share('forecast_month_cost_usd', 'month_budget_usd') }} as forecast_budget_share,
        toUInt8(baseline_days) as baseline_days,
        cast(expected_cost_usd as Nullable(Decimal(38, 12))) as expected_cost_usd,
        cost_z_score,
        toBool(coalesce(
            baseline_days >= {{ cost_policy('anomaly_min_days') }}
            and (
                cost_usd - expected_cost_usd >= {{ cost_policy('anomaly_min_usd') }}
                and (cost_z_score is null or cost_z_score >= {{ cost_policy('anomaly_z') }})
                or is_complete
                and expected_cost_usd - cost_usd >= {{ cost_policy('anomaly_min_usd') }}
                and cost_z_score <= -{{ cost_policy('anomaly_z') }}
            ),
            false
        )) as is_anomaly
    from with_budget
)

select * from final
