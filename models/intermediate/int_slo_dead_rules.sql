{%- set pairs = burn_pairs() -%}
{{ config(materialized='view') }}

with

objectives as (
    select
        id,
        objective,
        window_days,
        {{ budget_millionths('objective') }} as budget_millionths
    from {{ ref('slo_objectives') }}
),

-- Of an objective of 100 % the highest burn is infinite, above every factor.
rules as (
    select
        *,
        arrayJoin([
            {% for pair in pairs %}
            (
                '{{ pair.name }} ({{ pair.long }} and {{ pair.short }})',
                toFloat64({{ burn_factor(pair, 'window_days') }})
            ){{ ',' if not loop.last }}
            {% endfor %}
        ]) as rule_and_factor,
        rule_and_factor.1 as rule,
        rule_and_factor.2 as factor,
        1000000 / budget_millionths as highest_burn
    from objectives
),

final as (
    select
        id as objective_id,
        rule,
        concat(
            'seeds/slo_objectives.csv, ', id, ': the rule ', rule,
            ' can never fire for an objective of ', toString(objective * 100),
            ' %: it needs a burn above ', toString(round(factor, 4)),
            ', and when everything fails the burn is ', toString(round(highest_burn, 4)),
            '. Raise the objective above ', toString(ceil(100 * (1 - 1 / factor), 2)),
            ' %, or shorten window_days.'
        ) as sentence
    from rules
    where highest_burn <= factor
)

select * from final
