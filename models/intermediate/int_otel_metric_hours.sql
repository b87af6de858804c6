{{
    config(
        materialized='appended',
        order_by=['change_id', 'bucket_at'],
        meta={'change_logs': ['int_otel_metric_hours'], 'reads_clock': true, 'family': 'hourly'},
    )
}}

with

points as (
    select * from {{ ref('stg_otel__metrics') }}
),

-- A point of a running total is the end of one step and the beginning of the next, which may be
-- two hours later.
final as (
    select distinct
        {{ change_id() }} as change_id,
        toStartOfHour(
            arrayJoin([occurred_at, occurred_at + interval 1 hour, occurred_at + interval 2 hour])
        ) as bucket_at
    from points
    where {{ arrived('loaded_at') }}
)

select * from final
