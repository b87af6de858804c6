{#
    Condition on a change id: whether all that the model reads is built as far as that. Always true where there is no build,
    in unit tests and in `dbt show`.
#}
{% macro is_in_the_marts(change_id) -%}
    {%- set built_to = none -%}
    {%- if execute and model.resource_type == 'model' -%}
        {%- set built_to = upstream_built_to(ground_of(model.unique_id), model.unique_id, 'int_changed_hours') -%}
    {%- endif -%}
    {{ '(1 = 1)' if built_to is none else change_id ~ ' <= ' ~ built_to }}
{%- endmacro %}

{# The wall clock as a DateTime in UTC: the moved one, else the moved watermark, else when it was read. #}
{% macro wall_clock(as_of, read_at) -%}
    {%- if var("now") -%} toDateTime('{{ var("now") }}', 'UTC')
    {%- elif var("as_of") -%} {{ as_of }}
    {%- else -%} toDateTime({{ read_at }}, 'UTC')
    {%- endif -%}
{%- endmacro %}
