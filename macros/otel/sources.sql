{#
    Whose a record is: what the credential decided; for tables that a Collector writes itself, what its resource says,
    else METERHOUSE_OTLP_WORKSPACE.
#}
{% macro otel_workspace(decided, resource) -%}
    toLowCardinality(coalesce(
        nullIf(toString({{ decided }}), ''),
        nullIf({{ resource }}['meterhouse.workspace_id'], ''),
        nullIf({{ resource }}['workspace.id'], ''),
        nullIf({{ resource }}['tenant.id'], ''),
        '{{ env_var("METERHOUSE_OTLP_WORKSPACE", "") }}'
    ))
{%- endmacro %}

{# Logs that may be events: a JSON object that says its type. Others are nobody's event and are not read further. #}
{% macro is_event_log(body) -%}
    (startsWith({{ body }}, '{') and match({{ body }}, '"(event_)?type"'))
{%- endmacro %}

{# The trace as a key; a record without one is a trace of its own. #}
{% macro otel_trace_key(trace_id, report_id) -%}
    if({{ trace_id }} = '', {{ report_id }}, {{ trace_id }})
{%- endmacro %}

{# The first of these attributes that says anything. #}
{% macro otel_first_of(attributes, names) -%}
    toLowCardinality(arrayFirst(
        value -> value != '',
        [{% for name in names %}{{ attributes }}['{{ name }}']{{ ', ' if not loop.last }}{% endfor %}]
    ))
{%- endmacro %}
