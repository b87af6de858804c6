{{
    config(
        materialized='bucketed',
        order_by=['workspace_id', 'metric_name', 'hour', 'service', 'model', 'agent'],
        meta={
            'change_logs': ['int_otel_metric_hours'],
            'bucket': 'hour',
            'bucket_column': 'hour',
            'partition': 'day',
        },
    )
}}

-- depends_on: {{ ref('int_otel_metric_hours') }}

with

points as (
    select
        *,
        toStartOfHour(occurred_at) as hour
    from {{ ref('int_otel_points') }}
    where
        {{ in_buckets('occurred_at') }}
        or {{ in_buckets('occurred_at + toIntervalHour(1)') }}
        or {{ in_buckets('occurred_at + toIntervalHour(2)') }}
    order by version desc
    limit 1 by workspace_id, series_id, time_unix_ns
),

-- A running total counts from the point before; one that began anew counts whole, as does one whose
-- process began after the hours that are looked back at. Of one that was there before, the first
-- point says nothing of this hour.
stepped as (
    select
        *,
        lagInFrame(toNullable(total)) over series as total_before,
        lagInFrame(toNullable(observations)) over series as observations_before,
        is_counter and not is_delta as is_running,
        total_before is null
        or total < total_before
        or observations < observations_before as is_first,
        started_at >= hour - interval 2 hour as is_young
    from points
    window series as (
        partition by workspace_id, series_id
        order by time_unix_ns rows between 1 preceding and current row
    )
),

grouped as (
    select
        hour,
        workspace_id,
        metric_name,
        kind,
        unit,
        service,
        scope_name,
        provider,
        model,
        agent,
        operation,
        token_type,
        count() as points,
        uniqExact(series_id) as series,
        sum(multiIf(
            not is_running, total,
            not is_first, total - total_before,
            total_before is not null or is_young, total,
            0
        )) as added,
        sum(multiIf(
            kind in ('gauge', 'sum'), 0,
            not is_running, toInt64(observations),
            not is_first, toInt64(observations) - toInt64(observations_before),
            total_before is not null or is_young, toInt64(observations),
            0
        )) as observed,
        argMax(total, time_unix_ns) as last_value
    from stepped
    where {{ in_buckets('hour') }}
    group by
        hour,
        workspace_id,
        metric_name,
        kind,
        unit,
        service,
        scope_name,
        provider,
        model,
        agent,
        operation,
        token_type
),

final as (
    select
        hour,
        workspace_id,
        metric_name,
        kind,
        unit,
        service,
        scope_name,
        provider,
        model,
        agent,
        operation,
        token_type,
        points,
        series,
        if(kind = 'gauge', null, toFloat64(added)) as total,
        toUInt64(greatest(coalesce(observed, 0), 0)) as observations,
        if(
            kind = 'gauge', toFloat64(added) / points, toFloat64(added) / nullIf(observed, 0)
        ) as mean,
        if(kind = 'gauge', last_value, null) as last_value
    from grouped
)

select * from final
