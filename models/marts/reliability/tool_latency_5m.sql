{{
    config(
        materialized='bucketed',
        order_by=['workspace_id', 'tool_name', 'minute'],
        meta={
            'change_logs': ['int_changed_hours'],
            'bucket': 'hour',
            'bucket_column': 'hour',
            'partition': 'day',
        },
    )
}}

-- depends_on: {{ ref('int_changed_hours') }}

with

events as (
    select
        workspace_id,
        tool_name,
        toStartOfFiveMinutes(toDateTime(occurred_at, 'UTC')) as minute,
        log(greatest(assumeNotNull(latency_ms), 1)) as ln_ms
    from {{ ref('int_agent_events') }}
    where
        {{ in_buckets('occurred_hour') }}
        and event_type = 'tool_call'
        and latency_ms is not null
),

final as (
    select
        minute,
        toStartOfHour(minute) as hour,
        workspace_id,
        tool_name,
        count() as calls,
        exp(avg(ln_ms)) as typical_latency_ms,
        sum(ln_ms) as ln_ms_sum,
        sum(ln_ms * ln_ms) as ln_ms_square_sum
    from events
    group by
        minute,
        workspace_id,
        tool_name
)

select * from final
