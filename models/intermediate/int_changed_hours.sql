{{
    config(
        materialized='appended',
        order_by=['change_id', 'bucket_at'],
        meta={'change_logs': ['int_changed_hours']},
    )
}}

with

event_index as (
    select * from {{ ref('int_event_index') }}
),

event_moves as (
    select * from {{ ref('int_event_moves') }}
),

arrived as (
    select distinct
        occurred_hour as bucket_at,
        toLowCardinality('arrival') as reason
    from event_index
    where {{ arrived('loaded_at') }}
),

-- Hours that hold an older copy of an event whose newest copy says another hour.
left_behind as (
    select distinct
        occurred_hour as bucket_at,
        toLowCardinality('moved') as reason
    from event_moves
    where {{ unseen('change_id') }}
),

changed as (
    select * from arrived
    union all
    select * from left_behind
),

final as (
    select
        {{ change_id() }} as change_id,
        bucket_at,
        reason
    from changed
)

select * from final
