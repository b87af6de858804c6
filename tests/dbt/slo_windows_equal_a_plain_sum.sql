-- A failing row is 5 minutes of an objective whose windows are not what one gets by adding slo_5m up directly. Likely cause:
-- a late event whose later windows were not rebuilt (meta.spread_days of slo_windows_5m), or a lookup beside its window.
-- The last two hours before the watermark and one moment a day before are added up; all would take as long as all events.
{{ config(meta={'dagster': {'ref': {'name': 'slo_windows_5m'}}}) }}

with

checked as (
    select
        slo_windows_5m.*,
        objectives.window_days as window_days
    from {{ ref('slo_windows_5m') }} as slo_windows_5m
    inner join (select id, window_days from {{ ref('slo_objectives') }}) as objectives
        on slo_windows_5m.objective_id = objectives.id
    cross join {{ ref('slo_clock') }} as clock
    where
        slo_windows_5m.minute < clock.as_of
        and (
            slo_windows_5m.minute >= clock.as_of - interval 2 hour
            or formatDateTime(slo_windows_5m.minute, '%H:%i') = '13:35'
        )
),

added_up as (
    select
        checked.objective_id as objective_id,
        checked.workspace_id as workspace_id,
        checked.minute as minute,
        {% for name, seconds in burn_windows().items() %}
        sumIf(events.valid, events.minute > checked.minute - {{ seconds }}) as valid_{{ name }},
        sumIf(events.bad, events.minute > checked.minute - {{ seconds }}) as bad_{{ name }},
        {% endfor %}
        sumIf(events.valid, events.minute > checked.minute - 86400 * checked.window_days) as window_valid,
        sumIf(events.bad, events.minute > checked.minute - 86400 * checked.window_days) as window_bad
    from checked
    inner join {{ ref('slo_5m') }} as events
        on
            checked.objective_id = events.objective_id
            and checked.workspace_id = events.workspace_id
    where events.minute <= checked.minute
    group by
        objective_id,
        workspace_id,
        minute
)

select checked.*
from checked
left join added_up
    on
        checked.objective_id = added_up.objective_id
        and checked.workspace_id = added_up.workspace_id
        and checked.minute = added_up.minute
where
    ifNull(added_up.window_valid, 0) != checked.window_valid
    or ifNull(added_up.window_bad, 0) != checked.window_bad
    {% for name in burn_windows() %}
    or ifNull(added_up.valid_{{ name }}, 0) != checked.valid_{{ name }}
    or ifNull(added_up.bad_{{ name }}, 0) != checked.bad_{{ name }}
    {% endfor %}
