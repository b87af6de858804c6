{{
    config(
        materialized='bucketed',
        order_by=['objective_id', 'workspace_id', 'minute'],
        meta={
            'change_logs': ['int_changed_hours', 'int_changed_run_hours'],
            'bucket': 'hour',
            'bucket_column': 'hour',
            'partition': 'day',
            'rebuilt_by': ['slo_objectives'],
        },
    )
}}

-- depends_on: {{ ref('int_changed_hours') }}, {{ ref('int_changed_run_hours') }}

with

objectives as (
    select * from {{ ref('slo_objectives') }}
),

events as (
    select * from {{ ref('int_agent_events') }}
    where {{ in_buckets('occurred_hour') }}
),

runs as (
    select * from {{ ref('int_agent_runs') }}
    where {{ in_buckets('started_hour') }}
),

landed as (
    select * from {{ ref('stg_agent__events') }}
    where {{ in_buckets('occurred_at') }}
),

event_moves as (
    select
        workspace_id,
        event_id,
        max(winning_version) as winning_version
    from {{ ref('int_event_moves') }}
    where {{ in_buckets('occurred_hour') }}
    group by
        workspace_id,
        event_id
),

-- What succeeded or failed, by everything an objective may be about. Cancelled and unknown are in neither.
calls as (
    select
        toStartOfFiveMinutes(toDateTime(occurred_at, 'UTC')) as minute,
        workspace_id,
        agent,
        provider,
        model,
        tool_name,
        if(event_type = 'llm_call', 'llm', 'tool') as kind,
        countIf(status = 'ok') as ok,
        countIf(status in ('error', 'timeout')) as failed,
        groupArrayIf(latency_ms, status = 'ok') as ok_latencies_ms,
        groupArrayIf(latency_ms, status in ('error', 'timeout')) as failed_latencies_ms
    from events
    where event_type in ('llm_call', 'tool_call') and status in ('ok', 'error', 'timeout')
    group by all
),

run_outcomes as (
    select
        toStartOfFiveMinutes(toDateTime(started_at, 'UTC')) as minute,
        workspace_id,
        agent,
        '' as provider,
        '' as model,
        '' as tool_name,
        'run' as kind,
        countIf(run_status = 'ok') as ok,
        countIf(run_status in ('error', 'timeout')) as failed,
        cast([], 'Array(Nullable(Float64))') as ok_latencies_ms,
        cast([], 'Array(Nullable(Float64))') as failed_latencies_ms
    from runs
    where run_status in ('ok', 'error', 'timeout')
    group by all
),

-- From Kafka's taking an event in to its being readable, of the copy that counts. A copy in another hour may be newer.
-- What landed without Kafka has no such time.
arrivals as (
    select
        landed.workspace_id as workspace_id,
        landed.occurred_at as occurred_at,
        toFloat64(dateDiff('millisecond', landed.appended_at, landed.loaded_at)) as landing_ms
    from (
        select * from landed
        order by version desc
        limit 1 by
            workspace_id,
            event_id
    ) as landed
    left join event_moves
        on
            landed.workspace_id = event_moves.workspace_id
            and landed.event_id = event_moves.event_id
    where
        landed.version >= coalesce(event_moves.winning_version, toUInt128(0))
        and landed.appended_at > toDateTime64(0, 3, 'UTC')
),

landings as (
    select
        toStartOfFiveMinutes(toDateTime(occurred_at, 'UTC')) as minute,
        workspace_id,
        '' as agent,
        '' as provider,
        '' as model,
        '' as tool_name,
        'landing' as kind,
        count() as ok,
        toUInt64(0) as failed,
        groupArray(toNullable(landing_ms)) as ok_latencies_ms,
        cast([], 'Array(Nullable(Float64))') as failed_latencies_ms
    from arrivals
    group by all
),

outcomes as (
    select * from calls
    union all
    select * from run_outcomes
    union all
    select * from landings
),

-- A failed call that was quick is llm_success's affair: for latency it is neither good nor bad, unlike one that was slow.
judged as (
    select
        outcomes.minute as minute,
        objectives.id as objective_id,
        if(
            objectives.indicator = 'freshness' and objectives.workspace_id = '*',
            '',
            outcomes.workspace_id
        ) as workspace_id,
        if(
            objectives.threshold is null,
            outcomes.ok,
            arrayCount(latency -> latency <= objectives.threshold, outcomes.ok_latencies_ms)
        ) as good,
        if(
            objectives.threshold is null,
            outcomes.failed,
            arrayCount(
                latency -> latency > objectives.threshold,
                arrayConcat(outcomes.ok_latencies_ms, outcomes.failed_latencies_ms)
            )
        ) as bad
    from outcomes
    inner join (
        select
            *,
            transform(
                indicator,
                ['llm_success', 'llm_latency', 'tool_success', 'run_success', 'freshness'],
                ['llm', 'llm', 'tool', 'run', 'landing'],
                ''
            ) as kind
        from objectives
    ) as objectives
        on outcomes.kind = objectives.kind
    where
        objectives.workspace_id in ('*', outcomes.workspace_id)
        and objectives.agent in ('*', outcomes.agent)
        and objectives.tool_name in ('*', outcomes.tool_name)
        and objectives.model in (
            '*', outcomes.model, outcomes.provider || '/*', outcomes.provider || '/' || outcomes.model
        )
),

final as (
    select
        minute,
        toStartOfHour(minute) as hour,
        objective_id,
        toLowCardinality(workspace_id) as workspace_id,
        sum(good) as good,
        sum(good) + sum(bad) as valid,
        sum(bad) as bad
    from judged
    group by
        minute,
        objective_id,
        workspace_id
    having valid > 0
)

select * from final
