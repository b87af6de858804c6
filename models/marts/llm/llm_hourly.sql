{{
    config(
        materialized='bucketed',
        order_by=['workspace_id', 'hour', 'provider', 'model', 'agent'],
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

llm_calls as (
    select * from {{ ref('int_llm_calls') }}
    where {{ in_buckets('occurred_hour') }}
),

grouped as (
    select
        occurred_hour as hour,
        workspace_id,
        agent,
        provider,
        model,
        count() as calls,
        countIf(status = 'ok') as ok_calls,
        countIf(status in ('error', 'timeout')) as errors,
        countIf(status = 'timeout') as timeouts,
        {{ exact_quantiles('latency_ms', [0.5, 0.9, 0.95, 0.99]) }} as latencies,
        {{ exact_quantiles('time_to_first_token_ms', [0.5, 0.95]) }} as first_tokens,
        sum(coalesce(input_tokens, 0)) as input_tokens,
        sum(coalesce(output_tokens, 0)) as output_tokens,
        sum(coalesce(cache_read_tokens, 0)) as cache_read_tokens,
        sum(coalesce(cache_write_tokens, 0)) as cache_write_tokens,
        sum(coalesce(reasoning_tokens, 0)) as reasoning_tokens,
        countIf(cost_usd is not null) as priced_calls,
        sum(cost_usd) as cost_usd,
        -- A part that its price does not have is null: in a sum it is nothing.
        sumIf(coalesce(input_cost_usd, 0), cost_usd is not null) as input_cost_usd,
        sumIf(coalesce(cache_read_cost_usd, 0), cost_usd is not null) as cache_read_cost_usd,
        sumIf(coalesce(cache_write_cost_usd, 0), cost_usd is not null) as cache_write_cost_usd,
        sumIf(coalesce(output_cost_usd, 0), cost_usd is not null) as output_cost_usd,
        sumIf(coalesce(unsplit_cost_usd, 0), cost_usd is not null) as unsplit_cost_usd,
        countIf(reported_cost_usd is not null and catalogue_cost_usd is not null) as compared_calls,
        sum(reported_cost_usd - catalogue_cost_usd) as reported_minus_catalogue_usd,
        {{ quantile_state('latency_ms') }} as latency_ms_state,
        {{ quantile_state('time_to_first_token_ms') }} as time_to_first_token_ms_state
    from llm_calls
    group by
        occurred_hour,
        workspace_id,
        agent,
        provider,
        model
),

final as (
    select
        hour,
        workspace_id,
        agent,
        provider,
        model,
        -- outcome
        calls,
        ok_calls,
        errors,
        timeouts,
        {{ success_rate('ok_calls', 'errors') }} as success_rate,
        -- speed
        {{ quantile_at('latencies', 1) }} as p50_latency_ms,
        {{ quantile_at('latencies', 2) }} as p90_latency_ms,
        {{ quantile_at('latencies', 3) }} as p95_latency_ms,
        {{ quantile_at('latencies', 4) }} as p99_latency_ms,
        {{ quantile_at('first_tokens', 1) }} as p50_time_to_first_token_ms,
        {{ quantile_at('first_tokens', 2) }} as p95_time_to_first_token_ms,
        -- tokens
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
        reasoning_tokens,
        {{ share('cache_read_tokens', 'input_tokens') }} as cache_hit_share,
        -- money
        priced_calls,
        cost_usd,
        if(priced_calls > 0, input_cost_usd, null) as input_cost_usd,
        if(priced_calls > 0, cache_read_cost_usd, null) as cache_read_cost_usd,
        if(priced_calls > 0, cache_write_cost_usd, null) as cache_write_cost_usd,
        if(priced_calls > 0, output_cost_usd, null) as output_cost_usd,
        if(priced_calls > 0, unsplit_cost_usd, null) as unsplit_cost_usd,
        cost_usd / nullIf(priced_calls, 0) as cost_per_call_usd,
        compared_calls,
        reported_minus_catalogue_usd,
        -- to be merged
        latency_ms_state,
        time_to_first_token_ms_state
    from grouped
)

select * from final
