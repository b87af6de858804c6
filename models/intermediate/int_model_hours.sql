{{
    config(
        materialized='appended',
        engine='ReplacingMergeTree',
        order_by=['reported_provider', 'reported_model', 'workspace_id', 'occurred_hour'],
        meta={'change_logs': ['int_changed_hours'], 'reads_clock': true},
    )
}}

-- Its clock is read after the index's, or int_changed_hours, built up to the earliest of both,
-- would learn of events that changed their hour one build late.
-- depends_on: {{ ref('int_event_index') }}

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
