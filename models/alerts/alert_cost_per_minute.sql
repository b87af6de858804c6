with

-- The newest complete minute ends `until_at`; its quarter of an hour is the one that is judged.
clock as (
    select
        toStartOfMinute(as_of) as until_at,
        toStartOfHour(until_at - interval 15 minute) as this_hour
    from {{ ref('slo_clock') }}
    where not is_unknown
),

like_hours as (
    {{ like_hours('clock', 'this_hour') }}
),

-- With the hour before and the one after: work does not begin on the minute.
around_hours as (
    select
        basis,
        like_hour,
        like_hour + toIntervalHour(arrayJoin([-1, 0, 1])) as hour
    from like_hours
),

minutes as (
    select
        workspace_id,
        agent,
        minute,
        calls,
        {{ usd('cost_usd') }} as usd
    from {{ ref('agent_metrics_1m') }}
    where
        minute < (select until_at from clock)
        and (
            minute >= (select until_at - interval 6 hour - interval 7 day from clock)
            or toStartOfHour(minute) in (select hour from around_hours)
        )
),

-- Quarters of an hour back from now, 0 the newest. The last six hours are judged and the seven days
-- before them are what is usual: no incident becomes its own measure.
quarters as (
    select
        minutes.workspace_id as workspace_id,
        minutes.agent as agent,
        toUInt32(intDiv(dateDiff('minute', minutes.minute, clock.until_at) - 1, 15)) as quarter,
        any(clock.until_at) as quarters_until,
        min(minutes.minute) as first_minute,
        sum(minutes.calls) as calls,
        sum(minutes.usd) as usd
    from minutes
    cross join clock
    group by
        workspace_id,
        agent,
        quarter
),

-- What the dearest of a hundred quarters cost: the six dearest of a week are nobody's measure.
agents as (
    select
        workspace_id,
        agent,
        any(quarters_until) as until_at,
        min(first_minute) as known_since,
        sumIf(calls, quarter = 0) as calls_now,
        sumMapIf(map(quarter, usd), quarter < 24) as usd_by_quarter,
        arrayReverseSort(groupArrayIf(usd, quarter between 24 and 695)) as usual_quarters,
        least(intDiv(dateDiff('minute', known_since, until_at), 15) - 24, 672) as known_quarters,
        toFloat64(usual_quarters[toUInt32(ceil(known_quarters / 100))]) / 15 as peak_usd_a_minute
    from quarters
    group by
        workspace_id,
        agent
    having known_quarters >= 96
),

{{ usual_spending('minutes', 'agents', 'around_hours') }},

-- Where there are no two hours like this one, the dearest quarters are what is usual.
with_limit as (
    select
        agents.*,
        greatest(
            {{ cost_policy('burst_factor') }}
            * coalesce(usual.usual_usd_a_minute, agents.peak_usd_a_minute),
            {{ cost_policy('burst_over_peak') }} * agents.peak_usd_a_minute,
            {{ cost_policy('burst_min_usd') }}
        ) as limit_usd_a_minute,
        arrayMap(
            quarter -> toFloat64(agents.usd_by_quarter[toUInt32(quarter)]) / 15, range(24)
        ) as usd_a_minute,
        arrayFirstIndex(usd -> usd <= limit_usd_a_minute, usd_a_minute) as first_quiet,
        if(first_quiet = 0, 24, first_quiet - 1) as burst_quarters
    from agents
    left join usual
        on agents.workspace_id = usual.workspace_id and agents.agent = usual.agent
),

firing as (
    select
        *,
        usd_a_minute[1] as value_usd,
        until_at - toIntervalMinute(15 * burst_quarters) as since
    from with_limit
    where burst_quarters > 0 and calls_now >= {{ cost_policy('burst_min_calls') }}
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
