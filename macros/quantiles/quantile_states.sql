{#
    Quantiles that can be merged: over hours, agents or months, from states, without a scan of calls.

    A state counts values on a grid of 8 binary digits behind the first: each value is moved by at most 1/512 = 0.2 % of
    itself. Between two neighbouring values the merge interpolates linearly, exactly as quantileExactInclusive does on
    the values themselves, so a merged quantile is within 0.2 % of the exact one for three calls as for three million.
    (A sketch such as DDSketch does not interpolate: of two far-apart values it answers one.) A state holds at most 256
    pairs of value and count an octave, about 4,400 from 1 ms to two minutes, and as many as calls where there are few.

    Read them with quantilesExactWeightedInterpolatedMerge(0.5, 0.999, ...)(state): any level, not only the stored ones.
#}

{% macro state_levels() -%} 0.5, 0.9, 0.95, 0.99 {%- endmacro %}

{# The type of such a column, for a contract. #}
{# AggregateFunction(quantilesExactWeightedInterpolated(0.5, 0.9, 0.95, 0.99), Float32, UInt8) #}

{# The nearest number with 8 binary digits behind its first: integer arithmetic, so it is the same on every machine. #}
{% macro on_grid(value) -%}
    reinterpretAsFloat32(toUInt32(bitAnd(reinterpretAsUInt32(toFloat32({{ value }})) + 16384, 4294934528)))
{%- endmacro %}

{# State of a Nullable number; what is null is not counted. #}
{% macro quantile_state(value) -%}
    quantilesExactWeightedInterpolatedStateIf({{ state_levels() }})(
            {{ on_grid('assumeNotNull(' ~ value ~ ')') }}, 1, {{ value }} is not null
        )
{%- endmacro %}

{# States of parts into the state of the whole. #}
{% macro merged_state(state) -%}
    quantilesExactWeightedInterpolatedMergeState({{ state_levels() }})({{ state }})
{%- endmacro %}

{# States into an array of quantiles at these levels; quantile_at picks one. #}
{% macro merged_quantiles(state, levels) -%}
    quantilesExactWeightedInterpolatedMerge({{ levels | join(', ') }})({{ state }})
{%- endmacro %}
