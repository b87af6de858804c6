{{
    config(
        materialized='appended',
        engine='ReplacingMergeTree',
        engine_arguments='before',
        order_by=['workspace_id', 'event_id'],
        ttl='toDateTime(loaded_at) + interval ' ~ env_var('METERHOUSE_RETENTION_DAYS', '90') ~ ' day',
        settings={'index_granularity': 64, 'deduplicate_merge_projection_mode': 'rebuild'},
        projections=[
            {
                'name': 'by_arrival',
                'query': 'select loaded_at, workspace_id, event_id order by loaded_at',
            },
        ],
        meta={'change_logs': ['int_arrival_hours'], 'reads_clock': true},
    )
}}

-- Raw merges copies of an event away and keeps the last; what came first is only known to who
-- writes it down as it arrives. Of equal keys the engine keeps the highest `before`: the earliest.

with

events as (
    select * from {{ ref('stg_agent__events') }}
),

final as (
    select
        workspace_id,
        event_id,
        bitNot(version) as before,
        loaded_at,
        topic,
        kafka_partition,
        kafka_offset,
        dateDiff('millisecond', occurred_at, loaded_at) as landed_after_ms
    from events
    where {{ arrived('loaded_at') }}
)

select * from final
