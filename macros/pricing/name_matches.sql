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

{# Gateways write gpt-5.2-20251211 where the rules have gpt-5.2-2025-12-11. #}
{% macro with_dashes_in_date(name) -%}
    replaceRegexpOne({{ name }}, '-(20[0-9]{2})(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])(-|:|$)', '-\\1-\\2-\\3\\4')
{%- endmacro %}

{# The rules of a relation like provider_aliases, in the order in which they are tried. #}
{% macro rules_as_array() -%}
    cast(
        arraySort(groupArray((toUInt16(precedence), pattern, kind, provider))),
        'Array(Tuple(precedence UInt16, pattern String, kind String, provider String))'
    )
{%- endmacro %}
