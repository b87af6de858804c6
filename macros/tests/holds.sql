{#
    A failing row breaks what must hold for each row of the model; `unknown` (NULL) breaks it too, so an expression over
    columns that may be null says what null means.
#}
{% test holds(model, expression) %}
    select *
    from {{ model }}
    where not ifNull({{ expression }}, false)
    limit 100
{% endtest %}
