{#
    When two reports, `one` and `other` (rows of int_otel_usage), may tell of the same call. They do where each is the
    other's nearest: that pairs one with one, so two genuine calls that look alike stay two.
#}

{% macro otel_pair_columns(sign) -%}
    one.workspace_id as workspace_id,
        one.started_hour as started_hour,
        one.trace_key as trace_key,
        one.report_id as report_id,
        other.trace_key as other_trace_key,
        other.report_id as other_report_id,
        other.scope_name as other_scope_name,
        toUInt8({{ sign }}) as sign,
        toUInt64(abs(one.from_ms - other.from_ms)) as apart_ms,
        -- The better informed counts; of equals the first to begin, which is the outer one.
        toBool(
            (other.informed, -other.from_ms, other.report_id, other.trace_key)
            > (one.informed, -one.from_ms, one.report_id, one.trace_key)
        ) as is_other_better,
        (other.informed, -other.from_ms) as other_worth,
        {%- for field in ['agent', 'session_id', 'run_id', 'actor_id', 'route'] %}
        toString(other.{{ field }}) as other_{{ field }}{{ ',' if not loop.last }}
        {%- endfor %}
{%- endmacro %}

{% macro otel_begin_together() -%}
    abs(one.from_ms - other.from_ms) <= {{ (otel_policy('twin_start_s') | int) * 1000 }}
{%- endmacro %}

{% macro otel_overlap() -%}
    (one.from_ms <= other.to_ms + 1 and other.from_ms <= one.to_ms + 1)
{%- endmacro %}

{% macro otel_ids_agree() -%}
    (one.response_id = other.response_id or one.response_id = '' or other.response_id = '')
{%- endmacro %}

{# A long id says it alone, between two instrumentations; a short one, or one instrumentation twice, only at one time. #}
{% macro otel_id_is_believed() -%}
    (length(one.response_id) >= {{ otel_policy('id_chars') }}) + (one.scope_name != other.scope_name) + {{ otel_overlap() }} >= 2
{%- endmacro %}

{# Equal usage before usage that only one of them tells. #}
{% macro otel_nested_sign() -%}
    if(one.input_count = other.input_count and one.output_count = other.output_count, 1, 2)
{%- endmacro %}

{% macro otel_may_be_nested() -%}
    (one.model_core = other.model_core or one.model_core = '' or other.model_core = '')
        and {{ otel_ids_agree() }}
        and (
            (one.input_count = other.input_count and one.output_count = other.output_count)
            or not one.has_usage
            or not other.has_usage
        )
{%- endmacro %}

{# Where the other report of a call may be: both begin within minutes. #}
{% macro otel_hours_around(hour) -%}
    [{{ hour }} - interval 1 hour, {{ hour }}, {{ hour }} + interval 1 hour]
{%- endmacro %}
