{#
    CTEs of the two burn alerts: `firing`, a row an objective and workspace of which a pair of this severity holds in the
    last 5 minutes that may be judged, and `stretches`, since when without a break, looking back stretch_days() days: of one
    that lasts longer, `since` is that far back. value and threshold are those of the first pair that holds.
#}
{% macro burning(severity) %}
{%- set pairs = burn_pairs() | selectattr('severity', 'equalto', severity) | list -%}
{%- set holds = '(is_' ~ pairs | map(attribute='name') | join(' or is_') ~ ')' -%}
slo_burn as (
    select * from {{ ref('slo_burn') }}
),

last_minutes as (
    select toStartOfFiveMinutes(as_of) - interval 5 minute as minute from {{ ref('slo_clock') }}
),

firing as (
    select
        objective_id,
        workspace_id,
        minute,
        multiIf({% for pair in pairs %}is_{{ pair.name }}, alarming_burn_{{ pair.long }}, {% endfor %}0) as burn,
        multiIf({% for pair in pairs %}is_{{ pair.name }}, {{ pair.name }}_factor, {% endfor %}0) as factor
    from slo_burn
    where
        minute = (select minute from last_minutes)
        and hour = toStartOfHour((select minute from last_minutes))
        and {{ holds }}
),

stretches as (
    select
        objective_id,
        workspace_id,
        greatest(
            min(minute),
            coalesce(maxOrNullIf(minute, not {{ holds }}) + interval 5 minute, toDateTime(0, 'UTC'))
        ) as since
    from slo_burn
    where
        (objective_id, workspace_id) in (select objective_id, workspace_id from firing)
        and minute <= (select minute from last_minutes)
        and hour >= toStartOfHour((select minute from last_minutes) - interval {{ stretch_days() }} day)
    group by
        objective_id,
        workspace_id
)
{%- endmacro %}

{# As long as the longest window that alerts, three times over: whatever burns that long is known by then. #}
{% macro stretch_days() -%} 9 {%- endmacro %}
