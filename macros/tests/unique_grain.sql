{#
    A failing row is a key that stands more than once: a join that multiplies, or a bucket built twice. Only what the last
    builds touched can have changed, but a test reads everything: it is the proof of the mart, not of the increment.
#}
{% test unique_grain(model, columns) %}
    select
        {{ columns | join(', ') }},
        count() as rows_of_key
    from {{ model }}
    group by {{ columns | join(', ') }}
    having rows_of_key > 1
    limit 100
{% endtest %}
