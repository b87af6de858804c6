{{
    config(
        materialized='appended',
        engine='ReplacingMergeTree',
        engine_arguments='version',
        order_by=['workspace_id', 'trace_key', 'report_id', 'started_hour'],
        ttl='toDateTime(loaded_at) + interval ' ~ env_var('METERHOUSE_RETENTION_DAYS', '90') ~ ' day',
        settings={'index_granularity': 256},
        meta={'change_logs': ['int_changed_hours'], 'reads_clock': true},
    )
}}

-- Its clock is read after the index's, as int_model_hours' is and for the same reason:
-- depends_on: {{ ref('int_event_index') }}

with

spans as (
    select * from {{ ref('stg_otel__spans') }}
    where {{ arrived('loaded_at') }}
),

logs as (
    select * from {{ ref('stg_otel__logs') }}
    where {{ arrived('loaded_at') }} and {{ is_event_log() }}
),

final as (
    select
        workspace_id,
        {{ otel_trace_key('trace_id', 'span_id') }} as trace_key,
        span_id as report_id,
        started_hour,
        toDateTime64(started_at, 3, 'UTC') as started_at,
        toDateTime64(ended_at, 3, 'UTC') as ended_at,
        version,
        loaded_at
    from spans
    union all
    select
        workspace_id,
        {{ otel_trace_key('trace_id', 'concat(\'log-\', hex(log_id))') }} as trace_key,
        concat('log-', hex(log_id)) as report_id,
        occurred_hour as started_hour,
        toDateTime64(occurred_at, 3, 'UTC') as started_at,
        toDateTime64(occurred_at, 3, 'UTC') as ended_at,
        version,
        loaded_at
    from logs
)

select * from final
