{{
    config(
        materialized='bucketed',
        order_by=['workspace_id', 'run_id', 'hour'],
        settings={'index_granularity': 256},
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

events as (
    select
        *,
        status in ('error', 'timeout') as is_failed,
        event_type = 'agent_run_started' as is_start,
        event_type = 'agent_run_finished' as is_finish,
        event_type = 'llm_call' as is_llm_call,
        event_type = 'tool_call' as is_tool_call
    from {{ ref('int_agent_events') }}
    where
        {{ in_buckets('occurred_hour') }}
        and run_id != ''
),

final as (
    select
        workspace_id,
        run_id,
        occurred_hour as hour,
        -- who it was: from its start, else from its first event
        min((not is_start, occurred_at, event_id)) as described_by,
        toLowCardinality(argMin(agent, (not is_start, occurred_at, event_id))) as agent,
        toLowCardinality(
            argMin(environment, (not is_start, occurred_at, event_id))
        ) as environment,
        toLowCardinality(argMin(service, (not is_start, occurred_at, event_id))) as service,
        toLowCardinality(argMin(route, (not is_start, occurred_at, event_id))) as route,
        argMin(session_id, (not is_start, occurred_at, event_id)) as session_id,
        argMin(actor_id, (not is_start, occurred_at, event_id)) as actor_id,
        -- how it ended: by its last finish
        max((is_finish, occurred_at, event_id)) as ended_by,
        toLowCardinality(argMax(status, (is_finish, occurred_at, event_id))) as last_status,
        toLowCardinality(
            argMax(error_class, (is_finish, occurred_at, event_id))
        ) as last_error_class,
        tupleElement(
            argMax(tuple(latency_ms), (is_finish, occurred_at, event_id)), 1
        ) as last_latency_ms,
        tupleElement(
            argMax(tuple(reported_cost_usd), (is_finish, occurred_at, event_id)), 1
        ) as last_reported_cost_usd,
        -- when
        minIf(occurred_at, is_start) as start_at,
        min(occurred_at) as first_event_at,
        max(occurred_at) as last_event_at,
        -- what it took
        count() as events,
        countIf(is_start) as starts,
        countIf(is_finish) as finishes,
        countIf(event_type = 'agent_step') as steps,
        countIf(is_llm_call) as llm_calls,
        countIf(is_tool_call) as tool_calls,
        countIf(is_failed and is_llm_call) as failed_llm_calls,
        countIf(is_failed and is_tool_call) as failed_tool_calls,
        countIf(is_llm_call and cost_usd is null) as unpriced_llm_calls,
        sumIf(coalesce(input_tokens, 0), is_llm_call) as input_tokens,
        sumIf(coalesce(output_tokens, 0), is_llm_call) as output_tokens,
        sumIf(coalesce(cost_usd, 0), is_llm_call) as llm_cost_usd,
        sumIf(coalesce(cost_usd, 0), is_tool_call) as tool_cost_usd,
        sumIf(
            coalesce(cost_usd, 0), is_failed and (is_llm_call or is_tool_call)
        ) as failed_cost_usd,
        sumIf(
            coalesce(input_tokens, 0) + coalesce(output_tokens, 0), is_failed and is_llm_call
        ) as failed_tokens
    from events
    group by
        workspace_id,
        run_id,
        occurred_hour
)

select * from final
