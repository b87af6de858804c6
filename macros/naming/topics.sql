{# The Kafka topics of agent events as SQL literals, from the loader's own settings. #}
{% macro agent_topics() -%}
    {{- topic_literals([env_var('METERHOUSE_AGENT_EVENT_TOPICS', 'agent_events')]) -}}
{%- endmacro %}

{# Those of OTLP whose messages become events: spans and log records. #}
{% macro otlp_event_topics() -%}
    {{- topic_literals([
        env_var('METERHOUSE_OTLP_TRACES_TOPICS', 'otlp_traces'),
        env_var('METERHOUSE_OTLP_LOGS_TOPICS', 'otlp_logs'),
    ]) -}}
{%- endmacro %}

{# All topics of OTLP. #}
{% macro otlp_topics() -%}
    {{- topic_literals([
        env_var('METERHOUSE_OTLP_TRACES_TOPICS', 'otlp_traces'),
        env_var('METERHOUSE_OTLP_LOGS_TOPICS', 'otlp_logs'),
        env_var('METERHOUSE_OTLP_METRICS_TOPICS', 'otlp_metrics'),
    ]) -}}
{%- endmacro %}

{# Names as settings have them, separated by commas, as literals with the prefix; '' where there is none. #}
{% macro topic_literals(settings) -%}
    {%- set names = [] -%}
    {%- for topic in (settings | join(',')).split(',') if topic.strip() -%}
        {%- do names.append("'" ~ env_var('METERHOUSE_TOPIC_PREFIX', '') ~ topic.strip() ~ "'") -%}
    {%- endfor -%}
    {{- names | join(', ') if names else "''" -}}
{%- endmacro %}
