{# Whether a name fits a rule of seeds/provider_aliases.csv or seeds/model_name_rules.csv. Regular expressions are RE2's. #}
{% macro name_matches(name, kind, pattern) -%}
    multiIf(
        {{ kind }} = 'equals', {{ name }} = {{ pattern }},
        {{ kind }} = 'starts_with', startsWith({{ name }}, {{ pattern }}),
        {{ kind }} = 'ends_with', endsWith({{ name }}, {{ pattern }}),
        {{ kind }} = 'contains', position({{ name }}, {{ pattern }}) > 0,
        match({{ name }}, if({{ kind }} = 'regex', {{ pattern }}, '^$'))
    )
{%- endmacro %}
