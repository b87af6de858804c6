{{
    config(
        materialized='appended',
        order_by=['change_id', 'bucket_at'],
        meta={
            'change_logs': ['int_otel_changed_hours'],
            'follows': 'int_changed_hours',
            'feeds': ['int_changed_hours'],
        },
    )
}}

-- It follows the index too, so that its changes have the id of the build that int_changed_hours
-- takes them up in: depends_on {{ ref('int_event_index') }}, {{ ref('int_otel_hour_spans') }}

with

arrivals as (
    select * from {{ ref('int_otel_arrivals') }}
),

touched_traces as (
    select distinct
        workspace_id,
        trace_key
    from arrivals
    where {{ arrived('loaded_at') }}
),

-- What a span says of the others of its trace may change all of them, wherever they are. A call may
-- have its twin in another trace, so far away at most, and that one its own.
touched as (
    select
        started_at,
        ended_at
    from arrivals
    {%- if not is_first_build() %}
    where (workspace_id, trace_key) in touched_traces
    {%- endif %}
),

final as (
    select distinct
        {{ change_id() }} as change_id,
        toStartOfHour(toDateTime(arrayJoin([
            started_at - interval {{ 2 * otel_policy('twin_start_s') | int }} second,
            started_at,
            started_at + interval {{ 2 * otel_policy('twin_start_s') | int }} second,
            ended_at
        ]), 'UTC')) as bucket_at
    from touched
)

select * from final
