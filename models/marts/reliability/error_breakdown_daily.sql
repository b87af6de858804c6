{% set days_back = 7 %}
{% set key = [
    'workspace_id', 'agent', 'event_type', 'provider', 'model', 'tool_name', 'error_class',
] %}
{{
    config(
        materialized='bucketed',
        order_by=['workspace_id', 'day', 'agent', 'event_type', 'error_class'],
        meta={
            'change_logs': ['int_changed_hours'],
            'bucket': 'day',
            'bucket_column': 'day',
            'partition': 'month',
            'spread_days': 7,
        },
    )
}}

-- depends_on: {{ ref('int_changed_hours') }}

with

error_hours as (
    select * from {{ ref('int_error_hours') }}
    where {{ in_buckets_or_days_before('hour', days_back) }}
),

error_days as (
    select
        toDate(hour) as day,
        {{ key | join(',\n        ') }},
        sum(events) as events,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at
    from error_hours
    group by
        day,
        {{ key | join(',\n        ') }}
),

-- lagInFrame answers 1970 where there is no day before.
with_day_before as (
    select
        *,
        lagInFrame(day) over (
            partition by {{ key | join(', ') }}
            order by day
            rows between 1 preceding and current row
        ) as day_before,
        day_before >= day - {{ days_back }} as was_seen_before
    from error_days
),

final as (
    select
        day,
        {{ key | join(',\n        ') }},
        events,
        events / sum(events) over (partition by day, workspace_id, event_type) as share,
        first_seen_at,
        last_seen_at,
        if(was_seen_before, day_before, null) as seen_before_on,
        toBool(not was_seen_before) as is_new
    from with_day_before
    where {{ in_buckets('day') }}
)

select * from final
