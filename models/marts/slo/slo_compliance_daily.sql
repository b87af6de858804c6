{{ config(materialized='view') }}

with

slo_burn as (
    select * from {{ ref('slo_burn') }}
),

days as (
    select
        toDate(hour) as day,
        objective_id,
        workspace_id,
        any(objective) as objective,
        {{ budget_millionths('any(objective)') }} as budget_millionths,
        any(window_days) as window_days,
        any(owner) as owner,
        sum(valid) as valid,
        sum(bad) as bad,
        argMax(window_valid, minute) as window_valid,
        argMax(window_bad, minute) as window_bad
    from slo_burn
    group by
        day,
        objective_id,
        workspace_id
),

-- Met is counted in events, not in rounded shares: at most the bad ones that the objective allows.
final as (
    select
        day,
        objective_id,
        workspace_id,
        objective,
        window_days,
        toLowCardinality(owner) as owner,
        toUInt64(valid - bad) as good,
        valid,
        bad,
        {{ share('(valid - bad)', 'valid') }} as attained,
        if(valid = 0, null, toBool(bad * 1000000 <= valid * budget_millionths)) as met,
        (window_valid - window_bad) / window_valid as window_attained,
        toBool(window_bad * 1000000 <= window_valid * budget_millionths) as window_met,
        {{ burn_rate('bad', 'window_valid') }} as budget_spent
    from days
)

select * from final
