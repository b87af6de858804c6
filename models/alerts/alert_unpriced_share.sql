with

workspace_cost_daily as (
    select * from {{ ref('workspace_cost_daily') }}
),

clock as (
    select
        as_of,
        toDate(as_of) as today
    from {{ ref('slo_clock') }}
),

-- Yesterday and today together, so that the first calls after midnight are not judged alone.
firing as (
    select
        workspace_cost_daily.workspace_id as workspace_id,
        coalesce(sum(unpriced_llm_calls) / nullIf(sum(llm_calls), 0), 0) as unpriced_share,
        minIf(
            day, unpriced_llm_calls > {{ cost_policy('unpriced_share') }} * llm_calls
        ) as first_day,
        any(clock.as_of) as as_of
    from workspace_cost_daily
    cross join clock
    where day in (today - 1, today)
    group by workspace_id
    having
        unpriced_share > {{ cost_policy('unpriced_share') }}
        and sum(unpriced_llm_calls) >= {{ cost_policy('unpriced_min_calls') }}
),

final as (
    select
        {{ alert_columns(
            rule_id='unpriced_share',
            severity="'ticket'",
            workspace_id='workspace_id',
            subject="'model calls without a price'",
            value='unpriced_share',
            threshold=cost_policy('unpriced_share'),
            since='first_day',
            until='as_of',
        ) }}
    from firing
)

select * from final
