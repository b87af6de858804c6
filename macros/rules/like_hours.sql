{#
    Hours like another one: the same hour of the last four weeks (basis 'week'), and of those of the last seven days that
    are a working day or a week's end like it ('day'). Where there are two of the first, they are the better measure.
    `clock` has one row with `hour`.
#}
{% macro like_hours(clock, hour) %}
    select
        {{ hour }} - interval week week as like_hour,
        'week' as basis
    from {{ clock }}
    array join [1, 2, 3, 4] as week
    union all
    select
        {{ hour }} - interval day day as like_hour,
        'day' as basis
    from {{ clock }}
    array join [1, 2, 3, 4, 5, 6, 7] as day
    where (toDayOfWeek({{ hour }} - interval day day) > 5) = (toDayOfWeek({{ hour }}) > 5)
{% endmacro %}

{#
    CTEs up to `usual` (workspace_id, agent, usual_usd_a_minute): what agents cost in hours like this one, each the dearest
    of itself, the one before and the one after, since work does not begin on the minute. No row where there are not two.
    `minutes` (workspace_id, agent, minute, usd), `agents` (workspace_id, agent, known_since) and `around_hours` (basis,
    like_hour, hour) are CTEs before.
#}
{% macro usual_spending(minutes, agents, around_hours) %}
hours as (
    select
        workspace_id,
        agent,
        toStartOfHour(minute) as hour,
        sum(usd) as usd
    from {{ minutes }}
    where hour in (select hour from {{ around_hours }})
    group by
        workspace_id,
        agent,
        hour
),

-- Only hours that the agent was there for count, those in which it cost nothing too.
like_hours_usd as (
    select
        {{ agents }}.workspace_id as workspace_id,
        {{ agents }}.agent as agent,
        {{ around_hours }}.basis as basis,
        {{ around_hours }}.like_hour as like_hour,
        max(toFloat64(coalesce(hours.usd, 0))) as usd
    from {{ agents }}
    cross join {{ around_hours }}
    left join hours
        on
            {{ agents }}.workspace_id = hours.workspace_id
            and {{ agents }}.agent = hours.agent
            and {{ around_hours }}.hour = hours.hour
    where {{ around_hours }}.like_hour >= {{ agents }}.known_since
    group by
        workspace_id,
        agent,
        basis,
        like_hour
),

usual as (
    select
        workspace_id,
        agent,
        basis,
        avg(usd) / 60 as usual_usd_a_minute
    from like_hours_usd
    group by
        workspace_id,
        agent,
        basis
    having count() >= 2
    order by basis desc
    limit 1 by
        workspace_id,
        agent
)
{%- endmacro %}
