{{
    config(
        materialized='appended',
        order_by=['change_id', 'bucket_at'],
        meta={'change_logs': ['int_arrival_hours']},
    )
}}

with

event_firsts as (
    select * from {{ ref('int_event_firsts') }}
),

looks as (
    select * from {{ ref('int_completeness_looks') }}
),

batches as (
    select * from {{ ref('stg_loading__batches') }}
),

-- Rows are in shortly before their batch is written down. Until it is, they stand where they
-- landed, then where the batch did: one that closes just after the hour changes the hour before.
changed as (
    select toStartOfHour(loaded_at) as bucket_at from event_firsts
    where {{ arrived('loaded_at') }}
    union distinct
    select toStartOfHour(looked_at) as bucket_at from looks
    where {{ arrived('looked_at') }}
    union distinct
    select toStartOfHour(landed_at) as bucket_at from batches
    where {{ arrived('landed_at') }}
    union distinct
    select toStartOfHour(landed_at - interval 10 minute) as bucket_at from batches
    where {{ arrived('landed_at') }}
),

final as (
    select
        {{ change_id() }} as change_id,
        toDateTime(bucket_at, 'UTC') as bucket_at
    from changed
)

select * from final
