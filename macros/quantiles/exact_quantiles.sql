{#
    Array of the quantiles of a Nullable number at these levels, exact, interpolated linearly between the two nearest
    values. NaN in each place where there is no value: quantile_at makes a NULL of it.
#}
{% macro exact_quantiles(value, levels) -%}
    quantilesExactInclusive({{ levels | join(', ') }})({{ value }})
{%- endmacro %}

{# One of an array of quantiles, by its place (from 1); NULL where there was no value. #}
{% macro quantile_at(quantiles, place) -%}
    if(isNaN({{ quantiles }}[{{ place }}]), null, {{ quantiles }}[{{ place }}])
{%- endmacro %}
