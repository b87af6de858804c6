-- A failing row is a merged quantile of a day that lies more than 1 % from the exact one over the
-- day's calls. Likely causes: the grid of the states is too coarse, an hour is missing from
-- llm_hourly, or a state counts twice. The three newest days: the same code made the others.
{{ config(meta={'dagster': {'ref': {'name': 'llm_daily'}}}) }}

with

llm_daily as (
    select * from {{ ref('llm_daily') }}
    where day > (select max(day) from {{ ref('llm_daily') }}) - 3
),

exact as (
    select
        toDate(occurred_at) as day,
        workspace_id,
        provider,
        model,
        {{ exact_quantiles('latency_ms', [0.5, 0.9, 0.95, 0.99]) }} as latencies,
        {{ exact_quantiles('time_to_first_token_ms', [0.5, 0.95]) }} as first_tokens
    from {{ ref('int_llm_calls') }}
    where occurred_hour >= (select max(day) from {{ ref('llm_daily') }}) - 2
    group by
        day,
        workspace_id,
        provider,
        model
),

compared as (
    select
        day,
        workspace_id,
        provider,
        model,
        arrayJoin(arrayZip(
            [
                p50_latency_ms, p90_latency_ms, p95_latency_ms, p99_latency_ms,
                p50_time_to_first_token_ms, p95_time_to_first_token_ms
            ],
            arrayMap(q -> if(isNaN(q), null, q), arrayConcat(latencies, first_tokens))
        )) as pair,
        pair.1 as merged_ms,
        pair.2 as exact_ms
    from llm_daily
    inner join exact using (day, workspace_id, provider, model)
)

select * from compared
where not coalesce(
    abs(merged_ms - exact_ms) <= 0.01 * exact_ms,
    merged_ms is null and exact_ms is null
)
