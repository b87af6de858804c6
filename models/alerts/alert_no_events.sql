with

traffic as (
    select * from {{ ref('slo_traffic_5m') }}
),

last_minutes as (
    select
        toStartOfFiveMinutes(as_of) - interval 5 minute as minute,
        toStartOfHour(minute) as hour
    from {{ ref('slo_clock') }}
    where as_of > toDateTime(86400, 'UTC')
),

-- The same hour of the last four weeks; where there are not two of them, of the last seven days
-- that are a working day or a week's end like this one.
past_hours as (
    {{ like_hours('last_minutes', 'hour') }}
),

workspaces as (
    select
        workspace_id,
        min(minute) as first_minute,
        max(minute) as last_minute
    from traffic
    where minute <= (select minute from last_minutes)
    group by workspace_id
),

past_traffic as (
    select
        workspace_id,
        hour,
        count() as busy,
        sum(events) as events,
        sum(events * events) as event_squares
    from traffic
    where hour in (select like_hour from past_hours)
    group by
        workspace_id,
        hour
),

-- Only hours that the workspace was there for count, those without an event too. A run brings its
-- events together: what arrives by chance are so many bunches as make that mean and variance.
usual as (
    select
        workspaces.workspace_id as workspace_id,
        past_hours.basis as basis,
        count() as hours,
        sum(coalesce(past_traffic.busy, 0)) as busy,
        sum(coalesce(past_traffic.events, 0)) / (12 * hours) as usual_events,
        sum(coalesce(past_traffic.event_squares, 0)) / (12 * hours)
        - usual_events * usual_events as variance,
        usual_events * usual_events / greatest(variance, usual_events) as usual_arrivals
    from workspaces
    cross join past_hours
    left join past_traffic
        on
            workspaces.workspace_id = past_traffic.workspace_id
            and past_hours.like_hour = past_traffic.hour
    where past_hours.like_hour >= workspaces.first_minute
    group by
        workspace_id,
        basis
    having hours >= 2
),

chosen as (
    select * from usual
    order by basis desc
    limit 1 by workspace_id
),

-- Never an empty 5 minutes in those hours, and enough bunches missing since the silence began, or
-- this hour did, that it is chance once in three thousand looks.
firing as (
    select
        workspaces.workspace_id as workspace_id,
        workspaces.last_minute + interval 5 minute as since,
        last_minutes.minute + interval 5 minute as until,
        chosen.usual_events as usual_events
    from workspaces
    inner join chosen
        on workspaces.workspace_id = chosen.workspace_id
    cross join last_minutes
    where
        workspaces.last_minute < last_minutes.minute
        and chosen.busy = 12 * chosen.hours
        and chosen.usual_events >= {{ var('no_events_usual_events') }}
        and chosen.usual_arrivals
        * dateDiff('minute', greatest(since, last_minutes.hour), until) / 5 >= 8
),

final as (
    select
        {{ alert_columns(
            rule_id='no_events',
            severity="'page'",
            workspace_id='workspace_id',
            subject="'all events'",
            value='0',
            threshold='usual_events',
            since='since',
            until='until',
        ) }}
    from firing
)

select * from final
