with

clock as (
    select toStartOfFiveMinutes(as_of) as until from {{ ref('slo_clock') }}
    where not is_unknown
),

agent_metrics_1m as (
    select * from {{ ref('agent_metrics_1m') }}
    where
        minute >= (select until - interval 1 day from clock)
        and minute < (select until from clock)
),

blocks as (
    select
        workspace_id,
        agent,
        toStartOfFiveMinutes(minute) as block_at,
        sum(errors) as failed_calls,
        sum(ok_calls) + failed_calls as judged_calls
    from agent_metrics_1m
    group by
        workspace_id,
        agent,
        block_at
),

-- Beyond doubt: also the lower end of the 95 % interval is over 5 %. Five of ninety calls are
-- chance too often to wake somebody for.
over_limit as (
    select
        workspace_id,
        agent,
        block_at,
        failed_calls / judged_calls as value,
        clock.until as until
    from blocks
    cross join clock
    where
        {{ wilson_low('failed_calls', 'judged_calls') }} > 0.05
        and failed_calls >= {{ var('alert_min_errors') }}
),

firing as (
    {{ present_stretches('over_limit', ['workspace_id', 'agent'], 5) }}
),

final as (
    select
        {{ alert_columns(
            rule_id='error_rate',
            severity="'page'",
            workspace_id='workspace_id',
            subject="if(agent = '', '(no agent)', agent)",
            value='value',
            threshold='0.05',
            since='since',
            until='until',
        ) }}
    from firing
)

select * from final
