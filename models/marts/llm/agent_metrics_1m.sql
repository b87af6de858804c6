{{
    config(
        materialized='bucketed',
        order_by=['workspace_id', 'minute', 'agent', 'model', 'service', 'environment', 'route'],
        meta={
            'change_logs': ['int_changed_hours'],
            'bucket': 'hour',
            'bucket_column': 'minute',
            'partition': 'hour',
        },
    )
}}

-- depends_on: {{ ref('int_changed_hours') }}

with

llm_calls as (
    select
        *,
        toStartOfMinute(toDateTime(occurred_at, 'UTC')) as minute
    from {{ ref('int_llm_calls') }}
    where {{ in_buckets('occurred_hour') }}
),

grouped as (
    select
        minute,
        environment,
        service,
        agent,
        model,
        route,
        workspace_id,
        count() as calls,
        countIf(status = 'ok') as ok_calls,
        countIf(status in ('error', 'timeout')) as errors,
        {{ exact_quantiles('latency_ms', [0.5, 0.95]) }} as latencies,
        sum(coalesce(input_tokens, 0)) as input_tokens,
        sum(coalesce(output_tokens, 0)) as output_tokens,
        countIf(cost_usd is not null) as priced_calls,
        sum(cost_usd) as cost_usd
    from llm_calls
    group by
        minute,
        environment,
        service,
        agent,
        model,
        route,
        workspace_id
),

final as (
    select
        minute,
        environment,
        service,
        agent,
        model,
        route,
        workspace_id,
        -- outcome
        calls,
        ok_calls,
        errors,
        {{ share('errors', '(ok_calls + errors)') }} as error_rate,
        -- speed
        {{ quantile_at('latencies', 1) }} as p50_latency_ms,
        {{ quantile_at('latencies', 2) }} as p95_latency_ms,
        -- tokens and money
        input_tokens,
        output_tokens,
        priced_calls,
        cost_usd
    from grouped
)

select * from final
