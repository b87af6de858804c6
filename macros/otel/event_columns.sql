{# The columns that every source of events has, in order: what int_agent_events is made of. #}
{% macro event_columns() -%}
    {{- [
        'event_id', 'event_type', 'schema_version', 'occurred_at', 'occurred_hour', 'workspace_id', 'environment', 'service',
        'source', 'agent', 'session_id', 'run_id', 'actor_id', 'route', 'trace_id', 'span_id', 'parent_span_id',
        'reported_provider', 'reported_model', 'input_tokens', 'output_tokens', 'cache_read_tokens', 'cache_write_tokens',
        'reasoning_tokens', 'prompt_hash', 'time_to_first_token_ms', 'tool_name', 'status', 'error_type', 'latency_ms',
        'unit_cost_input_usd', 'unit_cost_output_usd', 'reported_cost_usd', 'context', 'appended_at', 'loaded_at', 'version',
    ] | join(', ') -}}
{%- endmacro %}
