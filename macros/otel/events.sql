{#
    From judged reports to events: the columns of stg_agent__events, and what was decided. A report that is a roll-up or a
    twin stays here, marked; only rows with is_event go on. Usage that only a roll-up told (an agent's span without spans
    of its calls) becomes a call of its own beside the run.
#}
{% macro otel_events(judged) %}
    with

    typed as (
        select
            *,
            is_call and (is_duplicate_call or is_roll_up) as is_repeated_call,
            not is_call and has_usage and not is_roll_up and kind in ('agent', 'workflow', 'step', 'run') as is_lone_usage,
            multiIf(
                is_call and is_roll_up, 'agent_step',
                is_call, 'llm_call',
                kind = 'tool', 'tool_call',
                kind = 'run' or (kind in ('agent', 'workflow') and is_top), 'agent_run_finished',
                kind = 'run_start', 'agent_run_started',
                kind = 'error', 'error',
                'agent_step'
            ) as kind_of_event,
            arrayJoin(if(is_lone_usage, [false, true], [false])) as is_usage_part
        from {{ judged }}
    )

    select
        -- identity
        if(
            not is_usage_part and toUUIDOrNull(body_event_id) is not null,
            assumeNotNull(toUUIDOrNull(body_event_id)),
            {{ otel_event_id('trace_key', 'report_id', 'is_usage_part') }}
        ) as event_id,
        toLowCardinality(if(is_usage_part, 'llm_call', kind_of_event)) as event_type,
        toUInt16(1) as schema_version,
        occurred_at,
        toStartOfHour(toDateTime(occurred_at, 'UTC')) as occurred_hour,
        workspace_id,
        -- origin
        toLowCardinality(environment) as environment,
        toLowCardinality(service) as service,
        toLowCardinality(trimRight(concat(scope_name, ' ', scope_version))) as source,
        -- who and where: of a call that several report, what any of them knows
        toLowCardinality(if(agent = '', twin_agent, agent)) as agent,
        if(session_id = '', twin_session_id, session_id) as session_id,
        if(run_id = '', twin_run_id, run_id) as run_id,
        if(actor_id = '', twin_actor_id, actor_id) as actor_id,
        toLowCardinality(if(route = '', twin_route, route)) as route,
        trace_id,
        span_id,
        parent_id as parent_span_id,
        -- model call
        reported_provider,
        reported_model,
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
        reasoning_tokens,
        prompt_hash,
        time_to_first_token_ms,
        -- tool call
        toLowCardinality(tool_name) as tool_name,
        -- outcome
        status,
        error_type,
        latency_ms,
        -- money
        unit_cost_input_usd,
        unit_cost_output_usd,
        reported_cost_usd,
        -- rest
        if(context = '', '', concat('{', context, '}')) as context,
        -- what was decided
        toBool(not (is_call and is_duplicate_call) and not is_same_tool) as is_event,
        toBool(is_roll_up) as is_roll_up,
        toBool(is_call and is_duplicate_call) as is_duplicate_usage,
        is_same_tool as is_duplicate_tool_call,
        if(
            is_call and is_duplicate_call,
            {{ otel_event_id('twin_trace_key', 'twin_report_id', 'false') }},
            null
        ) as twin_event_id,
        toBool(is_lone_usage) as is_lone_usage,
        is_call,
        has_usage,
        dialect,
        scope_name,
        scope_version,
        ancestors,
        trace_key,
        report_id,
        unknown_token_attributes,
        -- arrival
        appended_at,
        loaded_at,
        version
    from typed
{% endmacro %}

{# Made of what identifies a span or a log, so a copy that comes again has the same. #}
{% macro otel_event_id(trace_key, report_id, is_usage_part) -%}
    reinterpretAsUUID(sipHash128('otel', {{ trace_key }}, {{ report_id }}, {{ is_usage_part }}))
{%- endmacro %}
