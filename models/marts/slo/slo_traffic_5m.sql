{{
    config(
        materialized='bucketed',
        order_by=['workspace_id', 'minute'],
        meta={
            'change_logs': ['int_changed_hours'],
            'bucket': 'hour',
            'bucket_column': 'hour',
            'partition': 'month',
        },
    )
}}

-- depends_on: {{ ref('int_changed_hours') }}

with

events as (
    select * from {{ ref('int_agent_events') }}
    where {{ in_buckets('occurred_hour') }}
),

final as (
    select
        toStartOfFiveMinutes(toDateTime(occurred_at, 'UTC')) as minute,
        toStartOfHour(minute) as hour,
        workspace_id,
        count() as events
    from events
    group by
        minute,
        workspace_id
)

select * from final
