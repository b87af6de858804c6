{#
    What holds now, and since when: of `blocks`, rows of five minutes in which a condition held (block_at, until, value and
    the `keys`), the uninterrupted stretch that reaches up to `until`, where it is at least `minutes` long. A block without
    a row interrupts it. Columns: the keys, since, until, and the value of the newest block.
#}
{% macro present_stretches(blocks, keys, minutes=5) %}
    select
        {{ keys | join(', ') }},
        min(block_at) as since,
        max(until) as until,
        argMax(value, block_at) as value
    from (
        select
            *,
            row_number() over (partition by {{ keys | join(', ') }} order by block_at desc) as place
        from {{ blocks }}
    )
    where block_at + toIntervalMinute(5 * place) = until
    group by {{ keys | join(', ') }}
    having dateDiff('minute', min(block_at), max(until)) >= {{ minutes }}
{% endmacro %}
