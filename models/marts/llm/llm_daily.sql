{{
    config(
        materialized='bucketed',
        order_by=['workspace_id', 'day', 'provider', 'model'],
        meta={
            'change_logs': ['int_changed_hours'],
            'bucket': 'day',
            'bucket_column': 'day',
            'partition': 'month',
        },
    )
}}

-- depends_on: {{ ref('int_changed_hours') }}

with

llm_hourly as (
    select
        *,
        toDate(hour) as day
    from {{ ref('llm_hourly') }}
    where {{ in_buckets('hour') }}
),

merged as (
    select
        day,
        workspace_id,
        provider,
        model,
        sum(calls) as calls,
        sum(ok_calls) as ok_calls,
        sum(errors) as errors,
        sum(timeouts) as timeouts,
        {{ merged_quantiles('latency_ms_state', [0.5, 0.9, 0.95, 0.99]) }} as latencies,
        {{ merged_quantiles('time_to_first_token_ms_state', [0.5, 0.95]) }} as first_tokens,
        sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens,
        sum(cache_read_tokens) as cache_read_tokens,
        sum(cache_write_tokens) as cache_write_tokens,
        sum(reasoning_tokens) as reasoning_tokens,
        sum(priced_calls) as priced_calls,
        sum(cost_usd) as cost_usd,
        sum(input_cost_usd) as input_cost_usd,
        sum(cache_read_cost_usd) as cache_read_cost_usd,
        sum(cache_write_cost_usd) as cache_write_cost_usd,
        sum(output_cost_usd) as output_cost_usd,
        sum(unsplit_cost_usd) as unsplit_cost_usd,
        sum(compared_calls) as compared_calls,
        sum(reported_minus_catalogue_usd) as reported_minus_catalogue_usd,
        {{ merged_state('latency_ms_state') }} as latency_ms_state,
        {{ merged_state('time_to_first_token_ms_state') }} as time_to_first_token_ms_state
    from llm_hourly
    group by
        day,
        workspace_id,
        provider,
        model
),

final as (
    select
        day,
        workspace_id,
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
        input_cost_usd,
        cache_read_cost_usd,
        cache_write_cost_usd,
        output_cost_usd,
        unsplit_cost_usd,
        cost_usd / nullIf(priced_calls, 0) as cost_per_call_usd,
        compared_calls,
        reported_minus_catalogue_usd,
        -- to be merged
        latency_ms_state,
        time_to_first_token_ms_state
    from merged
)

select * from final
