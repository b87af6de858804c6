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
        toUInt64(greatest(toInt64(messages) - rejected - dropped, 0)) as landed,
        source.landed as landed_rows,
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
