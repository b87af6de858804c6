{{
    config(
        materialized='appended',
        engine='ReplacingMergeTree',
        order_by=['reported_provider', 'reported_model', 'workspace_id', 'occurred_hour'],
        meta={'change_logs': ['int_changed_hours'], 'reads_clock': true},
    )
}}

with

events as (
    select * from {{ ref('stg_agent__events') }}
),

final as (
    select distinct
        reported_provider,
        reported_model,
        workspace_id,
        occurred_hour
    from events
    where
        {{ arrived('loaded_at') }}
        and event_type = 'llm_call'
)

select * from final
