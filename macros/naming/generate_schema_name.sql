{#
    Databases are staging, intermediate, marts and ops, with METERHOUSE_DATABASE_PREFIX in front, like the loader's raw
    and ops. An analyst who builds into databases of her own over the company's raw sets METERHOUSE_MODELS_PREFIX as well.
#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{- env_var('METERHOUSE_DATABASE_PREFIX', '') -}}
    {{- env_var('METERHOUSE_MODELS_PREFIX', '') -}}
    {{- custom_schema_name if custom_schema_name else 'marts' -}}
{%- endmacro %}

{% macro ops_database() -%}
    {{- env_var('METERHOUSE_DATABASE_PREFIX', '') ~ env_var('METERHOUSE_MODELS_PREFIX', '') ~ 'ops' -}}
{%- endmacro %}
