{{
    config(
        materialized='bucketed',
        order_by=['workspace_id', 'day', 'prompt_hash'],
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

llm_calls as (
    select
        *,
        status in ('error', 'timeout') as is_failed
    from {{ ref('int_llm_calls') }}
    where
        {{ in_buckets('occurred_hour') }}
        and prompt_hash != ''
),

grouped as (
    select
        toDate(occurred_hour) as day,
        workspace_id,
        prompt_hash,
        count() as calls,
        countIf(is_failed) as failures,
        countIf(status = 'ok') as ok_calls,
        sumIf(coalesce(input_tokens, 0) + coalesce(output_tokens, 0), is_failed) as wasted_tokens,
        countIf(is_failed and cost_usd is null) as unpriced_failures,
        sumIf(cost_usd, is_failed) as wasted_cost_usd
    from llm_calls
    group by
        day,
        workspace_id,
        prompt_hash
),

final as (
    select
        day,
        workspace_id,
        prompt_hash,
        calls,
        failures,
        {{ share('failures', '(ok_calls + failures)') }} as failure_rate,
        wasted_tokens,
        unpriced_failures,
        wasted_cost_usd
    from grouped
    where failures > 0
)

select * from final
