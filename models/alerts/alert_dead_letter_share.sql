with

clock as (
    select
        *,
        toStartOfMinute(judged_at) as judged_to
    from {{ ref('slo_clock') }}
),

-- By arrival: a message that nobody could read has no time of its own. So these minutes are those
-- of the wall clock, and over when it says so, however far the watermark is behind.
health as (
    select
        topic,
        minute,
        landed,
        rejected
    from {{ ref('pipeline_health') }}
    where
        minute < (select judged_to from clock)
        and minute >= (select judged_to - interval 3 day from clock)
),

-- The last minute judged is a row of each topic, also when nothing came in it.
minutes as (
    select
        topic,
        minute,
        landed,
        rejected
    from health
    union all
    select distinct
        health.topic,
        clock.judged_to - interval 1 minute as minute,
        toUInt64(0) as landed,
        toUInt64(0) as rejected
    from health
    cross join clock
),

-- Of the hour up to the end of each minute.
hours as (
    select
        topic,
        minute,
        sum(rejected) over last_hour as rejected_messages,
        sum(landed + rejected) over last_hour as messages,
        {{ share('rejected_messages', 'messages') }} as rejected_share,
        coalesce(rejected_share > {{ var('dead_letter_alert_share') }}, false)
        and rejected_messages >= {{ var('dead_letter_alert_messages') }} as is_too_many
    from minutes
    window last_hour as (
        partition by topic
        order by toUnixTimestamp(minute)
        range between 3540 preceding and current row
    )
),

-- After an hour without a message there was nothing wrong any more, so it begins anew.
starts as (
    select
        *,
        is_too_many
        and (
            not lagInFrame(is_too_many, 1, false) over by_minute
            or lagInFrame(minute, 1, minute) over by_minute < minute - interval 1 hour
        ) as is_start
    from hours
    window by_minute as (
        partition by topic
        order by minute
        rows between unbounded preceding and current row
    )
),

firing as (
    select
        topic,
        argMax(rejected_share, minute) as rejected_share,
        maxIf(minute, is_start) as since
    from starts
    group by topic
    having argMax(is_too_many, minute)
),

final as (
    select
        {{ alert_columns(
            rule_id='dead_letter_share',
            severity="'ticket'",
            workspace_id="''",
            subject='firing.topic',
            value='assumeNotNull(firing.rejected_share)',
            threshold=var('dead_letter_alert_share'),
            since='firing.since',
            until='clock.judged_to',
        ) }}
    from firing
    cross join clock
)

select * from final
