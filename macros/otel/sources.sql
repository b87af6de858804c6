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

{#
    Logs that may be events: a JSON object that says its type, and what coding agents report of their calls in attributes.
    Others are nobody's event and are not read further.
#}
{% macro is_event_log() -%}
    (
        (startsWith(body, '{') and match(body, '"(event_)?type"'))
        or (
            (startsWith(scope_name, 'com.anthropic.claude_code') or startsWith(scope_name, 'gemini'))
            and attributes['event.name'] in (select value from {{ ref('otel_operations') }} where source = 'body_type')
        )
    )
{%- endmacro %}

{#
    Attributes whose value is a JSON object, as if each of its values were an attribute of its own: usage.input of
    `usage`. Two levels, which is as deep as any of them nests.
#}
{% macro otel_unfolded(attributes) -%}
    {%- set names -%}
        ['langfuse.observation.usage_details', 'langfuse.observation.cost_details', 'mlflow.chat.tokenUsage',
        'mlflow.llm.cost', 'braintrust.metrics', 'braintrust.span_attributes', 'braintrust.metadata',
        'langsmith.usage_metadata', 'langsmith.metadata.usage_metadata']
    {%- endset -%}
    if(
        hasAny(mapKeys({{ attributes }}), {{ names }}),
        mapUpdate(
            {{ attributes }},
            cast(
                arrayMap(
                    pair -> (pair.1, trim(both '"' from pair.2)),
                    arrayFlatten(arrayMap(
                        name -> arrayMap(
                            pair -> if(
                                startsWith(pair.2, '{'),
                                arrayMap(
                                    part -> (concat(name, '.', pair.1, '.', part.1), part.2),
                                    JSONExtractKeysAndValuesRaw(pair.2)
                                ),
                                [(concat(name, '.', pair.1), pair.2)]
                            ),
                            JSONExtractKeysAndValuesRaw({{ attributes }}[name])
                        ),
                        {{ names }}
                    ))
                ),
                'Map(String, String)'
            )
        ),
        {{ attributes }}
    )
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
