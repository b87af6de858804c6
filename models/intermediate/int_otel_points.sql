{{ config(materialized='view', meta={'family': 'hourly'}) }}

with

points as (
    select * from {{ ref('stg_otel__metrics') }}
    where workspace_id != ''
),

final as (
    select
        workspace_id,
        metric_name,
        kind,
        unit,
        service,
        scope_name,
        {{ otel_first_of('attributes', ['gen_ai.provider.name', 'gen_ai.system', 'provider']) }}
            as provider,
        {{ otel_first_of('attributes', [
            'gen_ai.response.model', 'gen_ai.request.model', 'model', 'llm.model_name'
        ]) }} as model,
        {{ otel_first_of('attributes', ['gen_ai.agent.name', 'agent.name', 'agent']) }} as agent,
        {{ otel_first_of('attributes', ['gen_ai.operation.name', 'operation']) }} as operation,
        {{ otel_first_of('attributes', ['gen_ai.token.type', 'token.type', 'type']) }}
            as token_type,
        series_id,
        started_at,
        occurred_at,
        time_unix_ns,
        observations,
        total,
        is_delta,
        is_counter,
        loaded_at,
        version
    from points
)

select * from final
