{#
    When two reports, `one` and `other` (rows of int_otel_usage), may tell of the same call: by one response's id, or where
    each is the other's nearest. That pairs one with one, so two genuine calls that look alike stay two.
#}

{% macro otel_pair_columns(sign, side, apart) -%}
    one.workspace_id as workspace_id,
        one.started_hour as started_hour,
        one.trace_key as trace_key,
        one.report_id as report_id,
        other.trace_key as other_trace_key,
        other.report_id as other_report_id,
        other.scope_name as other_scope_name,
        toLowCardinality('{{ side }}') as side,
        toUInt8({{ sign }}) as sign,
        toUInt64({{ apart }}) as apart,
        other.from_us as other_from_us,
        other.informed as other_informed,
        {%- for field in ['agent', 'session_id', 'run_id', 'actor_id', 'route'] %}
        toString(other.{{ field }}) as other_{{ field }}{{ ',' if not loop.last }}
        {%- endfor %}
{%- endmacro %}

{% macro otel_twin_start_us() -%} {{ (otel_policy('twin_start_s') | int) * 1000000 }} {%- endmacro %}

{% macro otel_time_apart() -%} abs(one.from_us - other.from_us) {%- endmacro %}

{% macro otel_begin_together() -%}
    {{ otel_time_apart() }} <= {{ otel_twin_start_us() }}
{%- endmacro %}

{% macro otel_overlap() -%}
    (one.from_us <= other.to_us + 1000 and other.from_us <= one.to_us + 1000)
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

{# The hours where the other report of a call of these may be: both begin within minutes. #}
{% macro otel_hours_around() %}
    select distinct arrayJoin([started_hour - interval 1 hour, started_hour, started_hour + interval 1 hour]) as hour
    from {{ ref('int_otel_hour_spans') }}
    where {{ in_buckets('started_hour') }}
{% endmacro %}

{# One report as one value, to join by. #}
{% macro otel_report_key(trace_key, report_id) -%}
    sipHash128(workspace_id, {{ trace_key }}, {{ report_id }})
{%- endmacro %}

{# Of two reports of a call the better informed counts; of equals the first to begin, which is the outer one. #}
{% macro otel_worth(of) -%}
    ({{ of }}.other_informed, -{{ of }}.other_from_us, {{ of }}.other_report_id, {{ of }}.other_trace_key)
{%- endmacro %}

{# Of pairs all of one id, and the nearest on each side by each instrumentation; by time only where no other sign is. #}
{% macro otel_nearest(pairs) %}
    select * except (best_sign, by_id)
    from (
        select
            *,
            min(sign) over (partition by workspace_id, trace_key, report_id, other_scope_name) as best_sign
        from (
            select
                *,
                if(side = 'same_id', concat(other_trace_key, ' ', other_report_id), '') as by_id
            from {{ pairs }}
            order by sign asc, apart asc, other_trace_key asc, other_report_id asc
            limit 1 by workspace_id, trace_key, report_id, side, other_scope_name, by_id
        )
    )
    where side != 'beside' or best_sign = sign
{% endmacro %}
