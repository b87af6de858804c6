{#
    CTEs up to `firing` of the two alerts on budgets; `level` is soft or hard. A day's budget fires for today, a month's for
    this month, from the day on that went over it; both end when the day or the month does, or the budget is raised.
#}
{% macro budget_alert(level) %}
budget_spent_daily as (
    select * from {{ ref('budget_spent_daily') }}
),

clock as (
    select
        as_of,
        toDate(as_of) as today
    from {{ ref('slo_clock') }}
),

this_month as (
    select
        budget_spent_daily.*,
        clock.as_of as as_of,
        clock.today as today
    from budget_spent_daily
    cross join clock
    where toStartOfMonth(day) = toStartOfMonth(today) and day <= today
),

firing as (
    select
        workspace_id,
        concat('day budget of the ', trimRight(concat(scope, ' ', subject))) as subject,
        cost_usd as spent_usd,
        assumeNotNull({{ level }}_usd_day) as limit_usd,
        toDateTime(day, 'UTC') as since,
        as_of
    from this_month
    where day = today and cost_usd > {{ level }}_usd_day
    union all
    select
        workspace_id,
        concat('month budget of the ', trimRight(concat(scope, ' ', this_month.subject))) as subject,
        max(month_cost_usd) as spent_usd,
        assumeNotNull(any({{ level }}_usd_month)) as limit_usd,
        toDateTime(min(day), 'UTC') as since,
        any(this_month.as_of) as as_of
    from this_month
    where month_cost_usd > {{ level }}_usd_month
    group by
        workspace_id,
        scope,
        this_month.subject
)
{% endmacro %}
