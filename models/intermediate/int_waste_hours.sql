{{
    config(
        materialized='bucketed',
        order_by=['workspace_id', 'hour', 'agent'],
        meta={
            'change_logs': ['int_changed_hours'],
            'bucket': 'hour',
            'bucket_column': 'hour',
            'partition': 'day',
            'spread_days': 1 / 24,
        },
    )
}}

-- depends_on: {{ ref('int_changed_hours') }}

with

calls as (
    select
        *,
        if(
            event_type = 'llm_call', coalesce(input_tokens, 0) + coalesce(output_tokens, 0), 0
        ) as tokens
    from {{ ref('int_agent_events') }}
    where
        {{ in_buckets_or_just_before('occurred_hour', 'occurred_at') }}
        and event_type in ('llm_call', 'tool_call')
),

retries_marked as (
    {{ with_retries('calls', ['event_type', 'provider', 'model', 'tool_name']) }}
),

final as (
    select
        occurred_hour as hour,
        workspace_id,
        agent,
        count() as calls,
        countIf(status = 'error') as failed_calls,
        sumIf(tokens, status = 'error') as failed_tokens,
        sumIf(coalesce(cost_usd, 0), status = 'error') as failed_cost_usd,
        countIf(status = 'timeout') as timed_out_calls,
        sumIf(tokens, status = 'timeout') as timed_out_tokens,
        sumIf(coalesce(cost_usd, 0), status = 'timeout') as timed_out_cost_usd,
        countIf(
            event_type = 'llm_call' and status in ('error', 'timeout') and cost_usd is null
        ) as unpriced_calls,
        countIf(is_retry) as retries,
        sumIf(tokens, is_retry) as retry_tokens,
        sumIf(coalesce(cost_usd, 0), is_retry) as retry_cost_usd
    from retries_marked
    where {{ in_buckets('occurred_hour') }}
    group by
        occurred_hour,
        workspace_id,
        agent
)

select * from final
