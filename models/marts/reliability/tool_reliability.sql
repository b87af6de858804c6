{{
    config(
        materialized='bucketed',
        order_by=['workspace_id', 'hour', 'tool_name'],
        meta={
            'change_logs': ['int_changed_hours'],
            'bucket': 'hour',
            'bucket_column': 'hour',
            'partition': 'day',
            'spread_days': 1 / 24,
        },
    )
}}

-- depends_on: {{ ref('int_changed_hours') }}

with

tool_calls as (
    select * from {{ ref('int_tool_calls') }}
    where {{ in_buckets_or_just_before('occurred_hour', 'occurred_at') }}
),

retries_marked as (
    {{ with_retries('tool_calls', ['tool_name']) }}
),

grouped as (
    select
        occurred_hour as hour,
        workspace_id,
        tool_name,
        count() as calls,
        countIf(status = 'ok') as success,
        countIf(status = 'error') as failure,
        countIf(status = 'timeout') as timeout,
        success + failure + timeout as judged,
        -- In whole microseconds: a sum of floats depends on the order it is taken in.
        sum(toInt64(round(latency_ms * 1000))) / 1000 / nullIf(count(latency_ms), 0)
            as avg_latency_ms,
        {{ exact_quantiles('latency_ms', [0.5, 0.95]) }} as latencies,
        sumMapIf([toString(error_class)], [toUInt64(1)], error_class != '') as error_classes,
        countIf(is_retry) as retries,
        count(is_retry) as calls_of_runs
    from retries_marked
    where {{ in_buckets('occurred_hour') }}
    group by
        occurred_hour,
        workspace_id,
        tool_name
),

final as (
    select
        hour,
        workspace_id,
        tool_name,
        -- outcome
        calls,
        success,
        failure,
        timeout,
        {{ share('success', 'judged') }} as success_rate,
        {{ wilson_low('success', 'judged') }} as success_rate_low,
        {{ wilson_high('success', 'judged') }} as success_rate_high,
        -- speed
        avg_latency_ms,
        {{ quantile_at('latencies', 1) }} as p50_latency_ms,
        {{ quantile_at('latencies', 2) }} as p95_latency_ms,
        -- failures
        arraySort((class, n) -> (-toInt64(n), class), error_classes.1, error_classes.2)[1]
            as top_error_class,
        retries,
        {{ share('retries', 'calls_of_runs') }} as retried_share
    from grouped
)

select * from final
