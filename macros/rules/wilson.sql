{#
    The 95 % Wilson score interval of a share: what the true rate may be, seen from so many. Unlike rate ± error it stays
    within 0 and 1, and says "anything" (0 to 1 nearly) for one call. NULL where there was none.
    Source: Wilson, E. B. (1927), Probable inference, the law of succession, and statistical inference.
#}
{% macro wilson_low(good, total) -%}
    {{ wilson_bound(good, total, '-') }}
{%- endmacro %}

{% macro wilson_high(good, total) -%}
    {{ wilson_bound(good, total, '+') }}
{%- endmacro %}

{# z = 1.959963984540054: 95 % of the normal distribution lies within. A rate of exactly 0 or 1 is its own bound. #}
{% macro wilson_bound(good, total, side) -%}
    {%- set z = 1.959963984540054 -%}
    {%- set n, p = 'toFloat64(' ~ total ~ ')', '(' ~ good ~ ' / ' ~ total ~ ')' -%}
    if({{ total }} = 0, null, least(1., greatest(0., if(
            {{ good }} = {{ '0' if side == '-' else total }},
            {{ p }},
            ({{ p }} + {{ z * z / 2 }} / {{ n }} {{ side }} {{ z }} * sqrt(
                ({{ p }} * (1 - {{ p }}) + {{ z * z / 4 }} / {{ n }}) / {{ n }}
            )) / (1 + {{ z * z }} / {{ n }})
        ))))
{%- endmacro %}
