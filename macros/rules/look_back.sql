{#
    What a model reads whose buckets look back: rows of the buckets being built, and those before them that a row of
    theirs may follow. The model names the same span in meta.spread_days, so that a change is seen by the later buckets.
#}

{# Ten minutes back, from buckets of an hour. #}
{% macro in_buckets_or_just_before(hour, occurred_at) -%}
    (
        {{ in_buckets(hour) }}
        or ({{ in_buckets(hour ~ ' + interval 1 hour') }} and {{ occurred_at }} >= {{ hour }} + interval 50 minute)
    )
{%- endmacro %}

{# So many days back, from buckets of a day. #}
{% macro in_buckets_or_days_before(hour, days) -%}
    (
        {{ in_buckets(hour) }}
        {%- for back in range(1, days + 1) %}
        or {{ in_buckets(hour ~ ' + interval ' ~ back ~ ' day') }}
        {%- endfor %}
    )
{%- endmacro %}
