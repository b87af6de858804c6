{{
    config(
        materialized='appended',
        order_by=['change_id'],
        ttl='toDateTime(built_at) + interval 400 day',
        meta={'change_logs': ['int_changed_hours'], 'reads_clock': true},
    )
}}

with

-- Topics whose messages become events; of OTLP only those that somebody ever wrote to. Metrics are
-- no events: a topic of theirs that stands still holds no objective back.
completeness as (
    select
        *,
        topic in ({{ agent_topics() }}) as is_agent_topic
    from {{ source('loading', 'completeness') }}
    where is_agent_topic or (topic in ({{ otlp_event_topics() }}) and produced > 0)
),

-- A topic of OTLP that has not said how far it is, as when its first message is on its way, holds
-- the watermark where it was.
said as (
    select
        * except (complete_to),
        if(
            complete_to is null and not is_agent_topic,
            {{ 'null' if is_first_build() else
                'toDateTime64(' ~ previous_value('as_of') ~ ", 3, 'UTC')" }},
            complete_to
        ) as complete_to
    from completeness
),

reported as (
    select
        count() as topics,
        if(countIf(isNull(complete_to)) > 0, null, min(complete_to)) as complete_to,
        sum(lag) as lag_messages,
        countIf(is_stale) > 0 as is_stale
    from said
),

-- Where no loader reports, rows landed by other means: what is in is taken as complete to its
-- newest event. The engine knows the newest of all without reading a row; only where that is ahead
-- of the clock are events read.
newest_event as (
    select max(occurred_at) as occurred_at from {{ ref('stg_agent__events') }}
),

landed as (
    select occurred_at from newest_event
    where occurred_at <= now64(3, 'UTC')
    union all
    select max(occurred_at) as occurred_at
    from {{ ref('stg_agent__events') }}
    where
        occurred_at <= now64(3, 'UTC')
        and (select occurred_at from newest_event) > now64(3, 'UTC')
    union all
    select toDateTime64(max(started_at), 3, 'UTC') as occurred_at
    from {{ ref('stg_otel__spans') }}
    where started_at <= now64(3, 'UTC')
),

newest as (
    select max(occurred_at) as newest_occurred_at from landed
),

ticks as (
    select
        if(
            '{{ var("as_of") }}' != '', toDateTimeOrZero('{{ var("as_of") }}', 'UTC'),
            if(
                reported.topics > 0,
                toDateTime(coalesce(reported.complete_to, toDateTime64(0, 3, 'UTC')), 'UTC'),
                toDateTime(newest.newest_occurred_at, 'UTC')
            )
        ) as as_of,
        toBool(reported.topics > 0) as has_loader,
        reported.complete_to as complete_to,
        toUInt64(coalesce(reported.lag_messages, 0)) as lag_messages,
        toBool(reported.topics > 0 and reported.is_stale) as is_loader_silent
    from reported
    cross join newest
),

final as (
    select
        {{ change_id() }} as change_id,
        {{ 'as_of' if is_first_build() else previous_value('as_of') }} as previous_as_of,
        as_of,
        has_loader,
        complete_to,
        lag_messages,
        is_loader_silent,
        now64(3, 'UTC') as built_at
    from ticks
)

select * from final
