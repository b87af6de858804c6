with

source as (
    -- _version is materialized, so a star does not bring it.
    select
        *,
        _version
    from {{ source('agent', 'agent_events') }}
),

renamed as (
    select
        -- identity
        event_id,
        event_type,
        schema_version,
        occurred_at,
        toStartOfHour(occurred_at) as occurred_hour,
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
        provider as reported_provider,
        model as reported_model,
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
        reasoning_tokens,
        prompt_hash,
        time_to_first_token_ms,
        -- tool call
        tool_name,
        -- outcome
        status,
        error_type,
        latency_ms,
        -- money
        unit_cost_input as unit_cost_input_usd,
        unit_cost_output as unit_cost_output_usd,
        cost_usd as reported_cost_usd,
        -- rest
        context,
        -- arrival
        _topic as topic,
        _partition as kafka_partition,
        _offset as kafka_offset,
        _appended_at as appended_at,
        _loaded_at as loaded_at,
        _version as version
    from source
)

select * from renamed
