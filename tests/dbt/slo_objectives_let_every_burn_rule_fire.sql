-- A failing row is an objective so low that an alert on its burn can never be raised: even if
-- everything fails, the burn is not above the rule's factor. Likely cause: an objective below 93.06 %
-- over 30 days, written as the share that may fail, or as a goal nobody needs to be woken for. The
-- build stops with a sentence that names it, before anything is counted by it.
{% if execute and flags.WHICH in ('test', 'build') %}
    {% set found = run_query('select sentence from ' ~ ref('int_slo_dead_rules')) %}
    {% if found.rows %}
        {% do exceptions.raise_compiler_error(found.rows | map(attribute=0) | join('\n')) %}
    {% endif %}
{% endif %}

select * from {{ ref('int_slo_dead_rules') }}
