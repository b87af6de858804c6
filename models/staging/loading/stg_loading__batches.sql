with

source as (
    select * from {{ source('loading', 'load_batches') }} final
),

renamed as (
    select
        topic,
        topic_id,
        `partition` as kafka_partition,
        first_offset,
        last_offset,
        messages,
        landed,
        rejected,
        dropped,
        lost,
        bytes,
        rejected_by_class,
        judged_at,
        landed_at
    from source
)

select * from renamed
