{#
    A failing row is a group whose totals differ between a model and what it was made of: rows lost or counted twice, or
    a bucket that was not rebuilt.

    source  the other relation; source_where narrows it
    by      {column of the model: expression over the source}
    totals  {aggregate over the model: aggregate over the source}
#}
{% test same_totals(model, source, by, totals, source_where='1 = 1') %}
    with

    both_sides as (
        select
            {% for mine in by %}{{ mine }} as key_{{ loop.index }}, {% endfor %}
            {% for mine in totals %}{{ mine }} as total_{{ loop.index }}, {% endfor %}
            'model' as side
        from {{ model }}
        group by {% for mine in by %}key_{{ loop.index }}{{ ', ' if not loop.last }}{% endfor %}
        union all
        select
            {% for theirs in by.values() %}{{ theirs }} as key_{{ loop.index }}, {% endfor %}
            {% for theirs in totals.values() %}{{ theirs }} as total_{{ loop.index }}, {% endfor %}
            'source' as side
        from {{ source }}
        where {{ source_where }}
        group by {% for mine in by %}key_{{ loop.index }}{{ ', ' if not loop.last }}{% endfor %}
    )

    select
        {% for mine in by %}key_{{ loop.index }}, {% endfor %}
        {% for mine in totals %}
        sumIf(ifNull(total_{{ loop.index }}, 0), side = 'model') as model_{{ loop.index }},
        sumIf(ifNull(total_{{ loop.index }}, 0), side = 'source') as source_{{ loop.index }}{{ ',' if not loop.last }}
        {% endfor %}
    from both_sides
    group by {% for mine in by %}key_{{ loop.index }}{{ ', ' if not loop.last }}{% endfor %}
    having {% for mine in totals %}model_{{ loop.index }} != source_{{ loop.index }}{{ ' or ' if not loop.last }}{% endfor %}
    limit 100
{% endtest %}
