{{ config(materialized='table', order_by='tuple()') }}

-- The clock ticks before the marts are built. Here it stands behind them, so that nobody judges
-- minutes that the marts do not hold yet.
-- depends_on: {{ ref('slo_windows_5m') }}, {{ ref('slo_traffic_5m') }}
-- depends_on: {{ ref('agent_metrics_1m') }}, {{ ref('tool_latency_5m') }}

with

ticks as (
    select * from {{ ref('int_clock_ticks') }}
    where {{ is_in_the_marts('change_id') }}
),

hours as (
    select count() > 0 as has_events from {{ ref('int_changed_hours') }}
),

newest as (
    select * from ticks
    order by change_id desc
    limit 1
),

-- Where nothing ever arrived there is nothing to know. With a moved watermark (var as_of) the wall
-- clock stands still too, unless it is moved itself (var now).
final as (
    select
        newest.as_of as as_of,
        {{ wall_clock("newest.as_of", "newest.built_at") }} as judged_at,
        toBool(newest.complete_to is not null) as has_loader,
        toBool(hours.has_events and newest.as_of = toDateTime(0, 'UTC')) as is_unknown,
        toUInt32(
            if(has_loader, greatest(dateDiff('second', newest.as_of, judged_at), 0), 0)
        ) as behind_s,
        newest.lag_messages as lag_messages,
        newest.is_loader_silent as is_loader_silent
    from newest
    cross join hours
)

select * from final
