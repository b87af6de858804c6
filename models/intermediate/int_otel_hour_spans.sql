{{
    config(
        materialized='appended',
        engine='ReplacingMergeTree',
        order_by=['ended_hour', 'started_hour'],
        meta={'change_logs': ['int_changed_hours']},
    )
}}

with

arrivals as (
    select * from {{ ref('int_otel_arrivals') }}
),

final as (
    select distinct
        toStartOfHour(toDateTime(ended_at, 'UTC')) as ended_hour,
        started_hour
    from arrivals
    where {{ arrived('loaded_at') }}
)

select * from final
