{{ config(materialized='view') }}

with

workspace_costs_daily as (
    select * from {{ ref('int_workspace_costs_daily') }}
),

clock as (
    select toDate(as_of) as today from {{ ref('int_clock') }}
),

-- Every day from a workspace's first to today: a day on which nothing happened cost nothing, and
-- is part of what is usual.
calendar as (
    select
        workspace_id,
        today,
        first_day + arrayJoin(range(toUInt32(greatest(last_day, today) - first_day) + 1)) as day
    from (
        select
            workspace_id,
            min(day) as first_day,
            max(day) as last_day
        from workspace_costs_daily
        group by workspace_id
    ) as spans
    cross join clock
),

days as (
    select
        calendar.day as day,
        calendar.workspace_id as workspace_id,
        toBool(calendar.day < calendar.today) as is_complete,
        {% for column in [
            'events', 'active_actors', 'runs', 'llm_calls', 'priced_llm_calls', 'tool_calls', 'input_tokens',
            'output_tokens', 'cache_read_tokens', 'cache_write_tokens', 'reasoning_tokens', 'priced_tokens'
        ] %}
        coalesce(costs.{{ column }}, 0) as {{ column }},
        {% endfor %}
        {% for column in [
            'reported_cost_usd', 'unit_cost_usd', 'catalogue_cost_usd', 'llm_cost_usd', 'tool_cost_usd', 'cost_usd',
            'reported_run_cost_usd'
        ] %}
    {{ usd('costs.' ~ column) }} as {{ column }}{{ ',' if not loop.last }}
    {% endfor %}
    from calendar
    left join workspace_costs_daily as costs
        on
            calendar.day = costs.day
            and calendar.workspace_id = costs.workspace_id
),

final as (
    select
        *,
        sum(cost_usd) over (
            partition by workspace_id, toStartOfMonth(day)
            order by day
            rows between unbounded preceding and current row
        ) as month_cost_usd,
        groupArray(cost_usd) over (
            partition by workspace_id, toDayOfWeek(day)
            order by day
            rows between {{ cost_policy('anomaly_weeks') }} preceding and 1 preceding
        ) as same_weekdays,
        groupArray(cost_usd) over (
            partition by workspace_id
            order by day
            rows between {{ cost_policy('pace_days') }} preceding and 1 preceding
        ) as days_before
    from days
)

select * from final
