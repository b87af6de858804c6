with

clock as (
    select toStartOfFiveMinutes(as_of) as until from {{ ref('slo_clock') }}
    where not is_unknown
),

tool_latency as (
    select * from {{ ref('tool_latency_5m') }}
    where
        minute >= (select until - interval 6 hour - interval 7 day from clock)
        and minute < (select until from clock)
),

-- The seven days before the last six hours: no incident becomes its own measure. In logarithms,
-- since what is slow is slow by a factor.
usual as (
    select
        workspace_id,
        tool_name,
        sum(calls) as usual_calls,
        sum(ln_ms_sum) / usual_calls as usual_ln_ms,
        sqrt(greatest(
            sum(ln_ms_square_sum) / usual_calls - usual_ln_ms * usual_ln_ms, 0
        )) as usual_spread
    from tool_latency
    where minute < (select until - interval 6 hour from clock)
    group by
        workspace_id,
        tool_name
    having usual_calls >= 50
),

-- The twenty minutes that end with each block, also with one in which nobody called.
windows as (
    select
        workspace_id,
        tool_name,
        minute + toIntervalMinute(arrayJoin([0, 5, 10, 15])) as block_at,
        sum(calls) as calls_20m,
        sum(ln_ms_sum) / calls_20m as ln_ms
    from tool_latency
    where minute >= (select until - interval 6 hour from clock)
    group by
        workspace_id,
        tool_name,
        block_at
    having calls_20m >= {{ var('alert_min_errors') }}
),

-- Three times slower, and so much that so few calls of this spread are not so slow by chance.
over_limit as (
    select
        windows.workspace_id as workspace_id,
        windows.tool_name as tool_name,
        windows.block_at as block_at,
        clock.until as until,
        usual.usual_ln_ms
        + greatest(log(3), 4.5 * usual.usual_spread / sqrt(windows.calls_20m)) as limit_ln_ms,
        (exp(windows.ln_ms), exp(limit_ln_ms)) as value
    from windows
    inner join usual
        on windows.workspace_id = usual.workspace_id and windows.tool_name = usual.tool_name
    cross join clock
    where windows.ln_ms > limit_ln_ms and windows.block_at < clock.until
),

firing as (
    {{ present_stretches('over_limit', ['workspace_id', 'tool_name']) }}
),

final as (
    select
        {{ alert_columns(
            rule_id='tool_latency',
            severity="'ticket'",
            workspace_id='workspace_id',
            subject='tool_name',
            value='tupleElement(value, 1)',
            threshold='tupleElement(value, 2)',
            since='since',
            until='until',
        ) }}
    from firing
)

select * from final
