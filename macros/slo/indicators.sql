{# What an indicator counts: llm, tool, run or landing. #}
{% macro indicator_kind(indicator) -%}
    transform(
        {{ indicator }},
        ['llm_success', 'llm_latency', 'tool_success', 'run_success', 'freshness'],
        ['llm', 'llm', 'tool', 'run', 'landing'],
        ''
    )
{%- endmacro %}

{#
    Whether what happened is within the scope of an objective, by the names of the two relations. `*` is each and every;
    a model may be named alone, with its provider, or by the provider for all of its models.
#}
{% macro in_scope(objective, happened) -%}
    (
        {{ objective }}.workspace_id in ('*', {{ happened }}.workspace_id)
        and {{ objective }}.agent in ('*', {{ happened }}.agent)
        and {{ objective }}.tool_name in ('*', {{ happened }}.tool_name)
        and {{ objective }}.model in (
            '*',
            {{ happened }}.model,
            {{ happened }}.provider || '/*',
            {{ happened }}.provider || '/' || {{ happened }}.model
        )
    )
{%- endmacro %}
