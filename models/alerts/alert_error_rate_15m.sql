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
        model,
        toStartOfFiveMinutes(minute) as block_at,
        sum(errors) as failed_calls,
        sum(ok_calls) + failed_calls as judged_calls
    from agent_metrics_1m
    group by
        workspace_id,
        model,
        block_at
),

-- The fifteen minutes that end with each block.
windows as (
    select
        workspace_id,
        model,
        block_at,
        sum(failed_calls) over last_15_minutes as failed_calls_15m,
        sum(judged_calls) over last_15_minutes as judged_calls_15m
    from blocks
    window last_15_minutes as (
        partition by workspace_id, model
        order by toUnixTimestamp(block_at)
        range between 600 preceding and current row
    )
),

-- Beyond doubt: also the lower end of the 95 % interval is over 2 %. Failures come in bunches, a
-- call with its retries, so a window of three blocks needs twice as many as one.
over_limit as (
    select
        workspace_id,
        model,
        block_at,
        failed_calls_15m / judged_calls_15m as value,
        clock.until as until
    from windows
    cross join clock
    where
        {{ wilson_low('failed_calls_15m', 'judged_calls_15m') }} > 0.02
        and failed_calls_15m >= 2 * {{ var('alert_min_errors') }}
),

firing as (
    {{ present_stretches('over_limit', ['workspace_id', 'model']) }}
),

final as (
    select
        {{ alert_columns(
            rule_id='error_rate_15m',
            severity="'ticket'",
            workspace_id='workspace_id',
            subject="if(model = '', '(no model)', model)",
            value='value',
            threshold='0.02',
            since='since',
            until='until',
        ) }}
    from firing
)

select * from final
