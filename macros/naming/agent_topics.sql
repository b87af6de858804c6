{# The Kafka topics of agent events as SQL literals, from the loader's own settings. #}
{% macro agent_topics() -%}
    {%- set names = [] -%}
    {%- for topic in env_var('METERHOUSE_AGENT_EVENT_TOPICS', 'agent_events').split(',') -%}
        {%- do names.append("'" ~ env_var('METERHOUSE_TOPIC_PREFIX', '') ~ topic.strip() ~ "'") -%}
    {%- endfor -%}
    {{- names | join(', ') -}}
{%- endmacro %}
