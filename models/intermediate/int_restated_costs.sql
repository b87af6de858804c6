{{
    config(
        materialized='appended',
        engine='ReplacingMergeTree',
        engine_arguments='restated_at',
        order_by=[
            'occurred_hour', 'workspace_id', 'provider', 'model', 'old_cost_source', 'new_cost_source',
            'old_price_version', 'new_price_version', 'built_from', 'old_cost_usd',
        ],
        meta={
            'change_logs': ['int_restated_costs'],
            'reads_clock': true,
        },
    )
}}

-- A ledger. int_agent_events writes it while it is rebuilt, before each piece is put in place
-- (macros/rules/restatements.sql): only then are the old cost of a call and its new one both there.

select
    toDateTime(0, 'UTC') as occurred_hour,
    toLowCardinality('') as workspace_id,
    toLowCardinality('') as provider,
    toLowCardinality('') as model,
    toLowCardinality('') as old_cost_source,
    toLowCardinality('') as new_cost_source,
    toLowCardinality('') as old_price_version,
    toLowCardinality('') as new_price_version,
    toBool(false) as is_renamed,
    toUInt64(0) as built_from,
    toUInt64(0) as llm_calls,
    toDecimal128(0, 12) as old_cost_usd,
    toDecimal128(0, 12) as new_cost_usd,
    '' as invocation_id,
    toBool(false) as is_full_refresh,
    toDateTime64(0, 3, 'UTC') as restated_at
where false
