{{ config(materialized='view') }}

select * from {{ ref('int_agent_events') }}
where event_type = 'tool_call'
