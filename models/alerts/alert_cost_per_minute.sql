with

agent_metrics as (
    select * from {{ ref('agent_metrics_1m') }}
),

clock as (
    select toStartOfMinute(as_of) as until_at from {{ ref('slo_clock') }}
),

-- Quarters of an hour back from the newest complete minute, 0 the newest; the last six hours
-- are judged, the seven days before them are what is usual: no incident becomes its own measure.
agents as (
    select
        agent_metrics.workspace_id as workspace_id,
        agent_metrics.agent as agent,
        any(clock.until_at) as until_at,
        sumMapIf(
            map(
                toUInt8(intDiv(dateDiff('minute', minute, clock.until_at) - 1, 15)),
                {{ usd('cost_usd') }}
            ),
            minute >= clock.until_at - interval 6 hour
        ) as cost_by_quarter,
        sumIf({{ usd('cost_usd') }}, minute < clock.until_at - interval 6 hour) as usual_cost_usd,
        least(
            dateDiff('minute', min(minute), any(clock.until_at)) - 360, 10080
        ) as usual_minutes
    from agent_metrics
    cross join clock
    where
        minute < clock.until_at
        and minute >= clock.until_at - interval 6 hour - interval 7 day
    group by
        workspace_id,
        agent
    having usual_minutes >= 1440
),

with_limit as (
    select
        *,
        greatest(
            {{ cost_policy('burst_factor') }} * toFloat64(usual_cost_usd) / usual_minutes,
            {{ cost_policy('burst_min_usd') }}
        ) as limit_usd_a_minute,
        arrayMap(quarter -> toFloat64(cost_by_quarter[quarter]) / 15, range(24)) as usd_a_minute,
        arrayFirstIndex(usd -> usd <= limit_usd_a_minute, usd_a_minute) as first_quiet,
        if(first_quiet = 0, 24, first_quiet - 1) as quarters
    from agents
),

firing as (
    select
        *,
        usd_a_minute[1] as value_usd,
        until_at - toIntervalMinute(15 * quarters) as since
    from with_limit
    where quarters > 0
),

final as (
    select
        {{ alert_columns(
            rule_id='cost_per_minute',
            severity="'page'",
            workspace_id='workspace_id',
            subject='agent',
            value='value_usd',
            threshold='limit_usd_a_minute',
            since='since',
            until='until_at',
        ) }}
    from firing
)

select * from final
