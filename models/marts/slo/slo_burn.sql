{%- set windows = burn_windows() -%}
{%- set pairs = burn_pairs() -%}
{{ config(materialized='view') }}

with

windows as (
    select * from {{ ref('slo_windows_5m') }}
),

objectives as (
    select
        id,
        objective,
        window_days,
        min_events,
        owner,
        {{ budget_millionths('objective') }} as budget_millionths
    from {{ ref('slo_objectives') }}
),

clock as (
    select as_of from {{ ref('slo_clock') }}
),

joined as (
    select
        windows.*,
        objectives.objective as objective,
        objectives.window_days as window_days,
        objectives.min_events as min_events,
        objectives.owner as owner,
        objectives.budget_millionths as budget_millionths,
        toBool(windows.minute + interval 5 minute <= clock.as_of) as is_covered
    from windows
    inner join objectives
        on windows.objective_id = objectives.id
    cross join clock
    where windows.minute < clock.as_of
),

-- alarming_burn is what a pair is held against. With few events the bad ones count against the
-- usual volume of that hour of the week, and against no fewer than enough, so that three calls at
-- night are not a rate. A pair of a lower factor fires on a smaller rate, so it needs as many more
-- events: each takes the same number of bad ones.
with_burn as (
    select
        *,
        {% for name in windows %}
        {{ burn_rate('bad_' ~ name, 'valid_' ~ name) }} as burn_{{ name }},
        {% endfor %}
        {% for pair in pairs %}
        toFloat64({{ burn_factor(pair, 'window_days') }}) as {{ pair.name }}_factor,
        {{ enough_events(pair) }} as {{ pair.name }}_enough,
        {{ burn_rate('bad_' ~ pair.long, alarming_volume(pair)) }} as alarming_burn_{{ pair.long }},
        {% endfor %}
        {{ burn_rate('window_bad', 'window_valid') }} as budget_spent
    from joined
),

final as (
    select
        minute,
        hour,
        objective_id,
        workspace_id,
        objective,
        window_days,
        owner,
        valid_5m as valid,
        bad_5m as bad,
        {% for name in windows %}
        burn_{{ name }},
        {% endfor %}
        window_valid,
        window_bad,
        toFloat64(window_valid) * budget_millionths / 1000000 as budget_events,
        budget_spent,
        1 - budget_spent as budget_left,
        multiIf(
            budget_spent >= 1, 0.0,
            burn_1h = 0, null,
            (1 - budget_spent) * window_days * 24 / burn_1h
        ) as hours_to_empty,
        toBool(valid_1h = 0) as is_no_data,
        toBool(valid_1h < min_events) as is_low_traffic,
        {% for name in long_windows() %}
        alarming_burn_{{ name }},
        {% endfor %}
        {% for pair in pairs %}
        {{ pair.name }}_factor,
        {{ fires(pair) }} as is_{{ pair.name }},
        {% endfor %}
        is_covered
    from with_burn
)

select * from final
