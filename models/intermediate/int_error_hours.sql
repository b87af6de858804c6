{{
    config(
        materialized='bucketed',
        order_by=['workspace_id', 'hour', 'event_type', 'error_class'],
        meta={
            'change_logs': ['int_changed_hours'],
            'bucket': 'hour',
            'bucket_column': 'hour',
            'partition': 'day',
        },
    )
}}

-- depends_on: {{ ref('int_changed_hours') }}

with

agent_events as (
    select * from {{ ref('int_agent_events') }}
    where
        {{ in_buckets('occurred_hour') }}
        and event_type in ('llm_call', 'tool_call', 'error')
),

-- An event of kind error is one, whatever its status says.
classed as (
    select
        * except (error_class),
        toLowCardinality(if(
            event_type = 'error' and status not in ('error', 'timeout'),
            {{ error_class("'error'", 'error_type') }},
            error_class
        )) as error_class
    from agent_events
),

final as (
    select
        occurred_hour as hour,
        workspace_id,
        agent,
        event_type,
        provider,
        model,
        tool_name,
        error_class,
        count() as events,
        min(occurred_at) as first_seen_at,
        max(occurred_at) as last_seen_at
    from classed
    where error_class != ''
    group by
        occurred_hour,
        workspace_id,
        agent,
        event_type,
        provider,
        model,
        tool_name,
        error_class
)

select * from final
