{{
    config(
        materialized='bucketed',
        order_by=['workspace_id', 'day', 'agent'],
        meta={
            'change_logs': ['int_changed_run_hours'],
            'bucket': 'day',
            'bucket_column': 'day',
            'partition': 'month',
        },
    )
}}

-- depends_on: {{ ref('int_changed_run_hours') }}

with

agent_runs as (
    select * from {{ ref('int_agent_runs') }}
    where {{ in_buckets('started_hour') }}
),

grouped as (
    select
        toDate(started_hour) as day,
        workspace_id,
        agent,
        count() as runs,
        countIf(run_status = 'ok') as ok_runs,
        countIf(run_status in ('error', 'timeout')) as failed_runs,
        countIf(is_abandoned) as abandoned_runs,
        countIf(run_status = 'running') as running_runs,
        sum(steps) as steps,
        sum(llm_calls) as llm_calls,
        sum(tool_calls) as tool_calls,
        {{ exact_quantiles('duration_ms', [0.5, 0.95]) }} as durations,
        sum(unpriced_llm_calls) as unpriced_calls,
        sum(cost_usd) as cost_usd
    from agent_runs
    group by
        day,
        workspace_id,
        agent
),

final as (
    select
        day,
        workspace_id,
        agent,
        -- outcome
        runs,
        ok_runs,
        failed_runs,
        abandoned_runs,
        running_runs,
        {{ success_rate('ok_runs', 'failed_runs') }} as success_rate,
        abandoned_runs / runs as abandoned_share,
        -- work
        steps,
        llm_calls,
        tool_calls,
        steps / runs as steps_per_run,
        tool_calls / runs as tool_calls_per_run,
        -- speed
        {{ quantile_at('durations', 1) }} as p50_duration_ms,
        {{ quantile_at('durations', 2) }} as p95_duration_ms,
        -- money
        unpriced_calls,
        cost_usd,
        cost_usd / runs as cost_per_run_usd,
        cost_usd / nullIf(ok_runs, 0) as cost_per_successful_run_usd
    from grouped
)

select * from final
