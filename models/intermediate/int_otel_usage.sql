{{
    config(
        materialized='bucketed',
        order_by=['workspace_id', 'trace_key', 'report_id'],
        meta={
            'change_logs': ['int_otel_changed_hours'],
            'feeds': ['int_changed_hours'],
            'bucket': 'hour',
            'hours_at_once': 4,
            'bucket_column': 'started_hour',
            'partition': 'hour',
        },
    )
}}

-- depends_on: {{ ref('int_otel_changed_hours') }}

with

reports as (
    select * from {{ ref('int_otel_tree') }}
    where {{ in_buckets('started_hour') }} and (is_call or has_usage)
),

traces_here as (
    select distinct
        workspace_id,
        trace_key
    from reports
),

hours_of_traces as (
    select distinct started_hour from {{ ref('int_otel_arrivals') }}
    where (workspace_id, trace_key) in (select * from traces_here)
),

below as (
    select
        workspace_id,
        trace_key,
        arrayJoin(ancestors) as above_id,
        groupUniqArray((input_tokens, output_tokens)) as usage_below,
        groupUniqArrayIf(response_id, response_id != '') as response_ids_below
    from {{ ref('int_otel_tree') }}
    where
        has_usage
        and (workspace_id, trace_key) in (select * from traces_here)
        and started_hour in (select * from hours_of_traces)
    group by
        workspace_id,
        trace_key,
        above_id
),

final as (
    select
        reports.workspace_id as workspace_id,
        reports.trace_key as trace_key,
        reports.report_id as report_id,
        reports.started_hour as started_hour,
        reports.is_call as is_call,
        -- A roll-up repeats usage that something below it reports. A call with one below that says
        -- the same is its twin instead, as a framework's span around its SDK's is.
        toBool(
            reports.has_usage
            and coalesce(notEmpty(below.usage_below), false)
            and not (
                reports.is_call
                and coalesce(
                    has(below.usage_below, (reports.input_tokens, reports.output_tokens))
                    or has(below.response_ids_below, reports.response_id),
                    false
                )
            )
        ) as is_roll_up,
        reports.scope_name as scope_name,
        reports.service as service,
        reports.model_core as model_core,
        reports.response_id as response_id,
        reports.ancestors as ancestors,
        toUnixTimestamp64Micro(toDateTime64(reports.started_at, 6, 'UTC'))
        - if(reports.is_log, toInt64(coalesce(reports.latency_ms, 0) * 1000), 0) as from_us,
        toUnixTimestamp64Micro(toDateTime64(reports.ended_at, 6, 'UTC')) as to_us,
        reports.has_usage as has_usage,
        coalesce(reports.input_tokens, 0) as input_count,
        coalesce(reports.output_tokens, 0) as output_count,
        -- How well informed a report of a call is: usage at all, its parts, then what else.
        toUInt32(
            1000 * reports.has_usage
            + 100 * (
                (reports.cache_read_tokens is not null) + (reports.cache_write_tokens is not null)
                + (reports.reasoning_tokens is not null)
            )
            + 10 * (
                (reports.response_id != '') + (reports.reported_model != '')
                + (reports.time_to_first_token_ms is not null)
            )
            + 2 * (reports.reported_cost_usd is not null)
            + not reports.is_log
        ) as informed,
        reports.agent as agent,
        reports.session_id as session_id,
        reports.run_id as run_id,
        reports.actor_id as actor_id,
        reports.route as route
    from reports
    left join below
        on
            reports.workspace_id = below.workspace_id
            and reports.trace_key = below.trace_key
            and reports.report_id = below.above_id
)

select * from final
