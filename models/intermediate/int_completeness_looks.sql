{{
    config(
        materialized='appended',
        engine='ReplacingMergeTree',
        order_by=['change_id', 'topic'],
        ttl='toDateTime(looked_at) + interval ' ~ env_var('METERHOUSE_RETENTION_DAYS', '90') ~ ' day',
        meta={'change_logs': ['int_arrival_hours'], 'reads_clock': true},
    )
}}

-- The loader keeps only its newest report; each build writes down what it found.

with

completeness as (
    select * from {{ source('loading', 'completeness') }}
),

final as (
    select
        {{ change_id() }} as change_id,
        fromUnixTimestamp64Milli(toInt64({{ change_id() }}), 'UTC') as looked_at,
        topic,
        toUInt64(lag) as lag_messages,
        complete_to,
        toBool(is_stale) as is_stale
    from completeness
)

select * from final
