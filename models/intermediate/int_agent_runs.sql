{{
    config(
        materialized='bucketed',
        order_by=['workspace_id', 'agent', 'started_at', 'run_id'],
        meta={
            'change_logs': ['int_changed_run_hours'],
            'bucket': 'hour',
            'bucket_column': 'started_hour',
            'partition': 'day',
        },
    )
}}

-- depends_on: {{ ref('int_changed_run_hours') }}

with

run_hours as (
    select * from {{ ref('int_run_hours') }}
),

-- Runs that may have started in these hours, with all their hours: the table is ordered by the run.
runs_here as (
    select distinct
        workspace_id,
        run_id
    from run_hours
    where {{ in_buckets('hour') }}
),

clock as (
    select as_of from {{ ref('int_clock') }}
),

joined as (
    select
        workspace_id,
        run_id,
        argMin(agent, described_by) as agent,
        argMin(environment, described_by) as environment,
        argMin(service, described_by) as service,
        argMin(route, described_by) as route,
        argMin(session_id, described_by) as session_id,
        argMin(actor_id, described_by) as actor_id,
        toBool(sum(starts) > 0) as has_start,
        toBool(sum(finishes) > 0) as is_finished,
        if(has_start, minIf(start_at, starts > 0), min(first_event_at)) as started_at,
        tupleElement(max(ended_by), 2) as last_finish_at,
        max(last_event_at) as last_event_at,
        argMax(last_status, ended_by) as last_status,
        argMax(last_error_class, ended_by) as last_error_class,
        tupleElement(argMax(tuple(last_latency_ms), ended_by), 1) as last_latency_ms,
        tupleElement(
            argMax(tuple(last_reported_cost_usd), ended_by), 1
        ) as last_reported_cost_usd,
        sum(events) as events,
        sum(steps) as steps,
        sum(llm_calls) as llm_calls,
        sum(tool_calls) as tool_calls,
        sum(failed_llm_calls) as failed_llm_calls,
        sum(failed_tool_calls) as failed_tool_calls,
        sum(unpriced_llm_calls) as unpriced_llm_calls,
        sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens,
        sum(llm_cost_usd) as llm_cost_usd,
        sum(tool_cost_usd) as tool_cost_usd,
        sum(failed_cost_usd) as failed_cost_usd,
        sum(failed_tokens) as failed_tokens
    from run_hours
    where (workspace_id, run_id) in runs_here
    group by
        workspace_id,
        run_id
),

final as (
    select
        joined.workspace_id as workspace_id,
        joined.run_id as run_id,
        joined.started_at as started_at,
        toStartOfHour(joined.started_at) as started_hour,
        if(joined.is_finished, joined.last_finish_at, null) as finished_at,
        joined.last_event_at as last_event_at,
        toLowCardinality(joined.agent) as agent,
        toLowCardinality(joined.environment) as environment,
        toLowCardinality(joined.service) as service,
        toLowCardinality(joined.route) as route,
        joined.session_id as session_id,
        joined.actor_id as actor_id,
        joined.has_start as has_start,
        joined.is_finished as is_finished,
        toBool(
            not joined.is_finished
            and joined.last_event_at + interval {{ var('run_silence_h') }} hour < clock.as_of
        ) as is_abandoned,
        toLowCardinality(multiIf(
            joined.is_finished, joined.last_status,
            is_abandoned, 'abandoned',
            'running'
        )) as run_status,
        toLowCardinality(if(joined.is_finished, joined.last_error_class, '')) as error_class,
        if(
            joined.is_finished,
            coalesce(
                joined.last_latency_ms,
                if(
                    joined.has_start,
                    toFloat64(dateDiff('millisecond', joined.started_at, joined.last_finish_at)),
                    null
                )
            ),
            null
        ) as duration_ms,
        joined.events as events,
        joined.steps as steps,
        joined.llm_calls as llm_calls,
        joined.tool_calls as tool_calls,
        joined.failed_llm_calls as failed_llm_calls,
        joined.failed_tool_calls as failed_tool_calls,
        joined.unpriced_llm_calls as unpriced_llm_calls,
        joined.input_tokens as input_tokens,
        joined.output_tokens as output_tokens,
        joined.llm_cost_usd as llm_cost_usd,
        joined.tool_cost_usd as tool_cost_usd,
        joined.llm_cost_usd + joined.tool_cost_usd as cost_usd,
        joined.failed_cost_usd as failed_cost_usd,
        joined.failed_tokens as failed_tokens,
        if(joined.is_finished, joined.last_reported_cost_usd, null) as reported_run_cost_usd
    from joined
    cross join clock
    where {{ in_buckets('started_hour') }}
)

select * from final
