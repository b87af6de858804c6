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

-- Yesterday stays until today is over: who looks in the morning shall see it.
firing as (
    select
        workspace_cost_daily.workspace_id as workspace_id,
        if(cost_usd > expected_cost_usd, 'spent far more than usual', 'spent far less than usual')
            as subject,
        argMax(cost_usd, day) as spent_usd,
        argMax(assumeNotNull(expected_cost_usd), day) as usual_usd,
        min(day) as first_day,
        any(clock.as_of) as as_of
    from workspace_cost_daily
    cross join clock
    where is_anomaly and day in (today - 1, today)
    group by
        workspace_id,
        subject
),

final as (
    select
        {{ alert_columns(
            rule_id='spend_anomaly',
            severity="'ticket'",
            workspace_id='workspace_id',
            subject='subject',
            value='spent_usd',
            threshold='usual_usd',
            since='first_day',
            until='as_of',
        ) }}
    from firing
)

select * from final
