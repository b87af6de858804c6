{{
    config(
        materialized='bucketed',
        order_by=['workspace_id', 'event_type', 'occurred_at', 'event_id'],
        meta={
            'change_logs': ['int_otel_changed_hours'],
            'feeds': ['int_changed_hours'],
            'bucket': 'hour',
            'hours_at_once': 4,
            'bucket_column': 'occurred_hour',
            'partition': 'hour',
        },
    )
}}

-- depends_on: {{ ref('int_otel_changed_hours') }}

with

-- Hours in which began what belongs to these hours.
hours_here as (
    select distinct started_hour as hour from {{ ref('int_otel_hour_spans') }}
    where {{ in_buckets('ended_hour') }} or {{ in_buckets('started_hour') }}
),

reports as (
    select
        *,
        toDateTime64(
            if(kind in ('agent', 'workflow', 'run') and is_top, ended_at, started_at), 3, 'UTC'
        ) as occurred_at
    from {{ ref('int_otel_tree') }}
    where started_hour in (select * from hours_here)
),

roll_ups as (
    select
        workspace_id as roll_up_workspace_id,
        trace_key as roll_up_trace_key,
        report_id as roll_up_report_id,
        is_roll_up
    from {{ ref('int_otel_usage') }}
    where started_hour in (select * from hours_here) and is_roll_up
),

twins as (
    select
        workspace_id as told_workspace_id,
        trace_key as told_trace_key,
        report_id as told_report_id,
        * except (workspace_id, trace_key, report_id, started_hour, twins)
    from {{ ref('int_otel_twins') }}
    where started_hour in (select * from hours_here)
),

judged as (
    select
        reports.*,
        coalesce(roll_ups.is_roll_up, false) as is_roll_up,
        coalesce(twins.is_duplicate, false) as is_duplicate_call,
        coalesce(twins.twin_trace_key, '') as twin_trace_key,
        coalesce(twins.twin_report_id, '') as twin_report_id,
        coalesce(twins.twin_agent, '') as twin_agent,
        coalesce(twins.twin_session_id, '') as twin_session_id,
        coalesce(twins.twin_run_id, '') as twin_run_id,
        coalesce(twins.twin_actor_id, '') as twin_actor_id,
        coalesce(twins.twin_route, '') as twin_route
    from reports
    left join roll_ups
        on
            reports.workspace_id = roll_ups.roll_up_workspace_id
            and reports.trace_key = roll_ups.roll_up_trace_key
            and reports.report_id = roll_ups.roll_up_report_id
    left join twins
        on
            reports.workspace_id = twins.told_workspace_id
            and reports.trace_key = twins.told_trace_key
            and reports.report_id = twins.told_report_id
    where {{ in_buckets('reports.occurred_at') }}
),

final as (
    {{ otel_events('judged') }}
)

select * from final
