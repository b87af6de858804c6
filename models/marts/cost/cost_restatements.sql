{{ config(materialized='table', order_by=['day', 'workspace_id', 'provider', 'model']) }}

-- A ledger is small by nature. It is written while int_agent_events is rebuilt, so read after it:
-- depends_on: {{ ref('int_agent_events') }}

with

restated_costs as (
    select * from {{ ref('int_restated_costs') }} final
),

-- A table rebuilt whole takes its place at the end, or not at all.
finished_builds as (
    select distinct invocation_id from {{ ops_database() }}.model_builds
    where model = 'int_agent_events' and mode = 'full'
),

final as (
    select
        max(restated_at) as restated_at,
        invocation_id as build_id,
        toDate(occurred_hour) as day,
        workspace_id,
        provider,
        model,
        old_cost_source,
        new_cost_source,
        old_price_version,
        new_price_version,
        toLowCardinality(multiIf(
            old_cost_source = 'unpriced', 'found a price',
            new_cost_source = 'unpriced', 'lost its price',
            max(is_renamed), 'another name',
            old_cost_source != new_cost_source, 'another source',
            old_price_version != new_price_version, 'another price',
            'another rule'
        )) as reason,
        sum(restated_costs.llm_calls) as llm_calls,
        if(
            old_cost_source = 'unpriced', null, sum(restated_costs.old_cost_usd)
        ) as old_cost_usd,
        if(
            new_cost_source = 'unpriced', null, sum(restated_costs.new_cost_usd)
        ) as new_cost_usd,
        sum(restated_costs.new_cost_usd) - sum(restated_costs.old_cost_usd) as difference_usd
    from restated_costs
    where not is_full_refresh or invocation_id in finished_builds
    group by
        build_id,
        day,
        workspace_id,
        provider,
        model,
        old_cost_source,
        new_cost_source,
        old_price_version,
        new_price_version
)

select * from final
