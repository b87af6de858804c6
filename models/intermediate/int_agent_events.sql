{{
    config(
        materialized='bucketed',
        order_by=['workspace_id', 'event_type', 'occurred_at', 'event_id'],
        meta={
            'change_logs': ['int_changed_hours'],
            'bucket': 'hour',
            'bucket_column': 'occurred_hour',
            'partition': 'hour',
            'before_replace': 'record_restated_costs',
        },
    )
}}

-- depends_on: {{ ref('int_changed_hours') }}
-- What is priced otherwise than before is put on record while it is replaced:
-- depends_on: {{ ref('int_restated_costs') }}, {{ ref('int_price_changes') }}

with

events as (
    select {{ event_columns() }} from {{ ref('stg_agent__events') }}
    where {{ in_buckets('occurred_at') }}
    union all
    select {{ event_columns() }} from {{ ref('int_otel_events') }}
    where {{ in_buckets('occurred_hour') }} and is_event
),

event_moves as (
    select
        workspace_id,
        event_id,
        max(winning_version) as winning_version
    from {{ ref('int_event_moves') }}
    where {{ in_buckets('occurred_hour') }}
    group by
        workspace_id,
        event_id
),

-- The last arrival of an event wins. A copy in this hour loses to a newer one in another hour.
latest as (
    select * from events
    order by version desc
    limit 1 by workspace_id, event_id
),

still_here as (
    select latest.*
    from latest
    left join event_moves
        on
            latest.workspace_id = event_moves.workspace_id
            and latest.event_id = event_moves.event_id
    where latest.version >= coalesce(event_moves.winning_version, toUInt128(0))
),

priced as (
    {{ price_events('still_here') }}
),

final as (
    select
        -- identity
        event_id,
        event_type,
        schema_version,
        occurred_at,
        occurred_hour,
        workspace_id,
        -- origin
        environment,
        service,
        source,
        -- who and where
        agent,
        session_id,
        run_id,
        actor_id,
        route,
        trace_id,
        span_id,
        parent_span_id,
        -- model call
        reported_provider,
        reported_model,
        provider,
        model,
        service_tier,
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
        uncached_input_tokens,
        reasoning_tokens,
        prompt_hash,
        time_to_first_token_ms,
        -- tool call
        tool_name,
        -- outcome
        status,
        error_type,
        {{ error_class('status', 'error_type') }} as error_class,
        latency_ms,
        -- money
        reported_cost_usd,
        unit_cost_input_usd,
        unit_cost_output_usd,
        cost_usd,
        cost_source,
        price_version,
        unpriced_reason,
        input_cost_usd,
        cache_read_cost_usd,
        cache_write_cost_usd,
        output_cost_usd,
        unsplit_cost_usd,
        catalogue_cost_usd,
        -- rest
        context,
        -- arrival of the copy that won
        appended_at,
        loaded_at
    from priced
)

select * from final
