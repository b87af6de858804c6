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

batches as (
    select * from {{ ref('stg_loading__batches') }}
    where {{ in_buckets('landed_at') }} or {{ in_buckets('landed_at - interval 10 minute') }}
),

-- Two questions, and no `distinct`: so each is answered from the projection by arrival.
arrivals as (
    select
        workspace_id,
        event_id
    from {{ ref('int_event_firsts') }}
    where {{ in_buckets('loaded_at') }}
    union all
    select
        workspace_id,
        event_id
    from {{ ref('int_event_firsts') }}
    where {{ in_buckets('loaded_at + interval 10 minute') }}
),

-- The first arrival may be in another hour than these; the table is ordered by the event.
first_arrivals as (
    select
        argMax((topic, kafka_partition, kafka_offset, loaded_at, landed_after_ms), before)
            as arrival
    from {{ ref('int_event_firsts') }}
    where (workspace_id, event_id) in arrivals
    group by
        workspace_id,
        event_id
),

firsts as (
    select
        tupleElement(arrival, 1) as topic,
        tupleElement(arrival, 2) as kafka_partition,
        tupleElement(arrival, 3) as kafka_offset,
        tupleElement(arrival, 4) as loaded_at,
        tupleElement(arrival, 5) as landed_after_ms
    from first_arrivals
),

-- An event belongs to the batch that brought it, by its offset, and to the minute the batch was in.
-- What landed without a batch, by other means than the loader, stands at its own minute.
with_batch as (
    select
        firsts.topic as topic,
        firsts.landed_after_ms as landed_after_ms,
        coalesce(
            batches.last_offset >= firsts.kafka_offset
            and batches.landed_at >= firsts.loaded_at
            and batches.landed_at < firsts.loaded_at + interval 10 minute,
            false
        ) as has_batch,
        if(has_batch, batches.landed_at, firsts.loaded_at) as landed_at
    from firsts
    asof left join batches
        on
            firsts.topic = batches.topic
            and firsts.kafka_partition = batches.kafka_partition
            and firsts.kafka_offset >= batches.first_offset
),

by_event as (
    select
        toStartOfMinute(assumeNotNull(landed_at)) as minute,
        topic,
        count() as new_events,
        countIf(not has_batch) as landed_without_batch,
        {{ exact_quantiles('toFloat64(landed_after_ms)', [0.95]) }}[1] as landed_after_p95_ms
    from with_batch
    group by
        minute,
        topic
),

by_batch as (
    select
        toStartOfMinute(landed_at) as minute,
        topic,
        sum(batches.landed) as landed,
        sum(batches.rejected) as rejected,
        sumMap(batches.rejected_by_class) as rejected_by_class,
        sum(batches.lost) as lost
    from batches
    group by
        minute,
        topic
),

-- A full join and not a list of minutes first, which would count the events twice.
both as (
    select
        assumeNotNull(coalesce(by_event.minute, by_batch.minute)) as minute,
        coalesce(toString(by_event.topic), toString(by_batch.topic), '') as topic,
        coalesce(by_batch.landed, 0) as batches_landed,
        coalesce(by_event.new_events, 0) as first_arrivals,
        coalesce(by_event.landed_without_batch, 0) as landed_without_batch,
        coalesce(by_batch.rejected, 0) as rejected,
        by_batch.rejected_by_class as rejected_by_class,
        coalesce(by_batch.lost, 0) as lost,
        by_event.landed_after_p95_ms as landed_after_p95_ms
    from by_event
    full join by_batch
        on by_event.minute = by_batch.minute and by_event.topic = by_batch.topic
),

joined as (
    select
        toDateTime(minute, 'UTC') as minute,
        toLowCardinality(topic) as topic,
        batches_landed + landed_without_batch as landed,
        if(topic in ({{ otlp_topics() }}), batches_landed, first_arrivals) as new_events,
        rejected,
        rejected_by_class,
        lost,
        landed_after_p95_ms
    from both
    where {{ in_buckets('minute') }}
),

final as (
    select
        minute,
        toStartOfHour(minute) as hour,
        topic,
        landed,
        new_events,
        rejected,
        rejected_by_class,
        lost,
        landed_after_p95_ms
    from joined
)

select * from final
