{{
    config(
        materialized='bucketed',
        order_by=['day', 'workspace_id', 'provider', 'model'],
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
    select * from {{ ref('int_llm_calls') }}
    where {{ in_buckets('occurred_hour') }}
),

final as (
    select
        toDate(occurred_hour) as day,
        workspace_id,
        provider,
        model,
        arraySlice(
            arraySort(groupUniqArray(concat(reported_provider, ' ', reported_model))), 1, 20
        ) as reported_names,
        arraySlice(arraySort(groupUniqArray(toString(agent))), 1, 20) as agents,
        count() as llm_calls,
        countIf(input_tokens is null or output_tokens is null) as calls_without_tokens,
        sum(coalesce(input_tokens, 0)) as input_tokens,
        sum(coalesce(output_tokens, 0)) as output_tokens,
        min(occurred_at) as first_seen_at,
        max(occurred_at) as last_seen_at
    from llm_calls
    where cost_usd is null
    group by
        day,
        workspace_id,
        provider,
        model
)

select * from final
