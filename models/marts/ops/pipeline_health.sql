{{
    config(
        materialized='bucketed',
        order_by=['minute', 'topic'],
        meta={
            'change_logs': ['int_arrival_hours'],
            'bucket': 'hour',
            'bucket_column': 'hour',
            'partition': 'day',
        },
    )
}}

-- depends_on: {{ ref('int_arrival_hours') }}

with

arrivals as (
    select * from {{ ref('int_arrivals_1m') }}
    where {{ in_buckets('hour') }}
),

looks as (
    select * from {{ ref('int_completeness_looks') }}
    where {{ in_buckets('looked_at') }}
),

by_look as (
    select
        toDateTime(toStartOfMinute(looked_at), 'UTC') as minute,
        topic,
        argMax(looks.lag_messages, looked_at) as lag_messages,
        tupleElement(argMax(tuple(looks.complete_to), looked_at), 1) as complete_to
    from looks
    group by
        minute,
        topic
),

joined as (
    select
        assumeNotNull(coalesce(arrivals.minute, by_look.minute)) as minute,
        toLowCardinality(coalesce(toString(arrivals.topic), toString(by_look.topic), '')) as topic,
        coalesce(arrivals.landed, 0) as landed,
        coalesce(arrivals.new_events, 0) as new_events,
        coalesce(arrivals.rejected, 0) as rejected,
        arrivals.rejected_by_class as rejected_by_class,
        coalesce(arrivals.lost, 0) as lost,
        arrivals.landed_after_p95_ms as landed_after_p95_ms,
        by_look.lag_messages as lag_messages,
        by_look.complete_to as complete_to
    from arrivals
    full join by_look
        on arrivals.minute = by_look.minute and arrivals.topic = by_look.topic
),

final as (
    select
        minute,
        toStartOfHour(minute) as hour,
        topic,
        landed,
        new_events,
        toUInt64(landed - least(new_events, landed)) as duplicates,
        rejected,
        rejected_by_class,
        {{ share('rejected', '(landed + rejected)') }} as rejected_share,
        lost,
        landed_after_p95_ms,
        lag_messages,
        complete_to
    from joined
)

select * from final
