{{
    config(
        materialized='appended',
        engine='ReplacingMergeTree',
        engine_arguments='version',
        order_by=['workspace_id', 'event_id', 'occurred_hour'],
        ttl='toDateTime(loaded_at) + interval ' ~ env_var('METERHOUSE_RETENTION_DAYS', '90') ~ ' day',
        settings={'index_granularity': 256},
        meta={'change_logs': ['int_changed_hours'], 'reads_clock': true},
    )
}}

-- The clock is read before the rows: what it says is in is then among them.
-- depends_on: {{ ref('int_clock_ticks') }}

with

events as (
    select * from {{ ref('stg_agent__events') }}
),

final as (
    select
        workspace_id,
        event_id,
        occurred_hour,
        version,
        loaded_at
    from events
    where {{ arrived('loaded_at') }}
)

select * from final
