{#
    A share of a whole, 0 to 1; NULL where the whole is nothing, never NaN.
#}
{% macro share(part, whole) -%}
    if({{ whole }} = 0, null, {{ part }} / {{ whole }})
{%- endmacro %}

{# ok of what succeeded or failed. Cancelled calls and those without a status are in neither. #}
{% macro success_rate(ok, errors) -%}
    {{ share(ok, '(' ~ ok ~ ' + ' ~ errors ~ ')') }}
{%- endmacro %}
