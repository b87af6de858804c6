{{
    config(
        materialized='bucketed',
        order_by=['workspace_id', 'day', 'agent'],
        meta={
            'change_logs': ['int_changed_hours', 'int_changed_run_hours'],
            'bucket': 'day',
            'bucket_column': 'day',
            'partition': 'month',
        },
    )
}}

-- depends_on: {{ ref('int_changed_hours') }}
-- depends_on: {{ ref('int_changed_run_hours') }}

with

waste_hours as (
    select * from {{ ref('int_waste_hours') }}
    where {{ in_buckets('hour') }}
),

abandoned_runs as (
    select * from {{ ref('int_agent_runs') }}
    where
        {{ in_buckets('started_hour') }}
        and is_abandoned
),

calls_by_agent as (
    select
        toDate(hour) as day,
        workspace_id,
        agent,
        sum(calls) as calls,
        sum(failed_calls) as failed_calls,
        sum(failed_tokens) as failed_tokens,
        sum(failed_cost_usd) as failed_cost_usd,
        sum(timed_out_calls) as timed_out_calls,
        sum(timed_out_tokens) as timed_out_tokens,
        sum(timed_out_cost_usd) as timed_out_cost_usd,
        sum(unpriced_calls) as unpriced_calls,
        sum(retries) as retries,
        sum(retry_tokens) as retry_tokens,
        sum(retry_cost_usd) as retry_cost_usd
    from waste_hours
    group by
        day,
        workspace_id,
        agent
),

-- Less what failed or timed out in them, which has its own columns.
runs_by_agent as (
    select
        toDate(started_hour) as day,
        workspace_id,
        agent,
        count() as abandoned_runs,
        toUInt64(sum(input_tokens + output_tokens - failed_tokens)) as abandoned_tokens,
        sum(cost_usd - failed_cost_usd) as abandoned_cost_usd
    from abandoned_runs
    group by
        day,
        workspace_id,
        agent
),

every_part as (
    select
        day,
        workspace_id,
        agent,
        calls,
        failed_calls,
        failed_tokens,
        failed_cost_usd,
        timed_out_calls,
        timed_out_tokens,
        timed_out_cost_usd,
        unpriced_calls,
        retries,
        retry_tokens,
        retry_cost_usd,
        0 as abandoned_runs,
        0 as abandoned_tokens,
        0 as abandoned_cost_usd
    from calls_by_agent
    union all
    select
        day,
        workspace_id,
        agent,
        0 as calls,
        0 as failed_calls,
        0 as failed_tokens,
        0 as failed_cost_usd,
        0 as timed_out_calls,
        0 as timed_out_tokens,
        0 as timed_out_cost_usd,
        0 as unpriced_calls,
        0 as retries,
        0 as retry_tokens,
        0 as retry_cost_usd,
        abandoned_runs,
        abandoned_tokens,
        abandoned_cost_usd
    from runs_by_agent
),

summed as (
    select
        day,
        workspace_id,
        agent,
        sum(calls) as calls,
        sum(retries) as retries,
        sum(retry_tokens) as retry_tokens,
        sum(retry_cost_usd) as retry_cost_usd,
        sum(failed_calls) as failed_calls,
        sum(failed_tokens) as failed_tokens,
        sum(failed_cost_usd) as failed_cost_usd,
        sum(timed_out_calls) as timed_out_calls,
        sum(timed_out_tokens) as timed_out_tokens,
        sum(timed_out_cost_usd) as timed_out_cost_usd,
        sum(unpriced_calls) as unpriced_calls,
        sum(abandoned_runs) as abandoned_runs,
        sum(abandoned_tokens) as abandoned_tokens,
        sum(abandoned_cost_usd) as abandoned_cost_usd
    from every_part
    group by
        day,
        workspace_id,
        agent
),

final as (
    select
        *,
        failed_tokens + timed_out_tokens + abandoned_tokens as wasted_tokens,
        failed_cost_usd + timed_out_cost_usd + abandoned_cost_usd as wasted_cost_usd
    from summed
)

select * from final
