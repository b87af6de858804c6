{{
    config(
        materialized='bucketed',
        order_by=['reported_provider', 'reported_model', 'workspace_id', 'occurred_hour'],
        meta={
            'change_logs': ['int_otel_changed_hours'],
            'feeds': ['int_changed_hours'],
            'bucket': 'hour',
            'hours_at_once': 4,
            'bucket_column': 'occurred_hour',
            'partition': 'month',
        },
    )
}}

-- depends_on: {{ ref('int_otel_changed_hours') }}

with

events as (
    select * from {{ ref('int_otel_events') }}
    where {{ in_buckets('occurred_hour') }}
),

final as (
    select distinct
        reported_provider,
        reported_model,
        workspace_id,
        occurred_hour
    from events
    where event_type = 'llm_call' and is_event
)

select * from final
