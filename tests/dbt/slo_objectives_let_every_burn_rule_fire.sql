-- A failing row is an objective so low that an alert on its burn can never be raised: even if everything fails, the burn is
-- 1 / (1 - objective), which is not above the rule's factor. Likely cause: an objective below 93.06 % over 30 days, written
-- as the share that may fail, or as a goal nobody needs to be woken for. The build stops with a sentence that names it.
{% set rules %}
    select
        objectives.id as objective_id,
        rule,
        toString(toDecimal64(objectives.objective * 100, 4)) as objective_percent,
        toString(round(factor, 4)) as factor_text,
        toString(round(1000000 / budget_millionths, 4)) as highest_burn,
        toString(ceil(100 * (1 - 1 / factor), 2)) as lowest_percent
    from (
        select
            id,
            objective,
            {{ budget_millionths('objective') }} as budget_millionths,
            arrayJoin([
                {% for pair in burn_pairs() %}
                (
                    '{{ pair.name }} ({{ pair.long }} and {{ pair.short }})',
                    toFloat64({{ burn_factor(pair, 'window_days') }})
                ){{ ',' if not loop.last }}
                {% endfor %}
            ]) as rule_and_factor,
            rule_and_factor.1 as rule,
            rule_and_factor.2 as factor
        from {{ ref('slo_objectives') }}
    ) as objectives
    where budget_millionths > 0 and 1000000 / budget_millionths <= factor
{% endset %}
{% if execute and flags.WHICH in ('test', 'build') %}
    {% set found = run_query(rules) %}
    {% if found.rows %}
        {% set row = found.rows[0] %}
        {% do exceptions.raise_compiler_error(
            'seeds/slo_objectives.csv, ' ~ row[0] ~ ': the rule ' ~ row[1] ~ ' can never fire for an objective of ' ~ row[2]
            ~ ' %: it needs a burn above ' ~ row[3] ~ ', and when everything fails the burn is ' ~ row[4]
            ~ '. Raise the objective above ' ~ row[5] ~ ' %, or shorten window_days'
            ~ ((' (' ~ (found.rows | length - 1) ~ ' more like it)') if found.rows | length > 1 else '') ~ '.'
        ) %}
    {% endif %}
{% endif %}

select * from ({{ rules }})
