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
-- Nothing is counted while an objective stands that a rule can never fire for.
-- depends_on: {{ ref('int_slo_dead_rules') }}

with

objectives as (
    select
        *,
        {{ indicator_kind('indicator') }} as kind
    from {{ ref('slo_objectives') }}
),

events as (
    select * from {{ ref('int_agent_events') }}
    where {{ in_buckets('occurred_hour') }}
),

runs as (
    select * from {{ ref('int_agent_runs') }}
    where {{ in_buckets('started_hour') }}
),

calls as (
    select
        toStartOfFiveMinutes(toDateTime(occurred_at, 'UTC')) as minute,
        workspace_id,
        agent,
        provider,
        model,
        tool_name,
        if(event_type = 'llm_call', 'llm', 'tool') as kind,
        status,
        latency_ms
    from events
    where event_type in ('llm_call', 'tool_call')
),

run_ends as (
    select
        toStartOfFiveMinutes(toDateTime(started_at, 'UTC')) as minute,
        workspace_id,
        agent,
        '' as provider,
        '' as model,
        '' as tool_name,
        'run' as kind,
        run_status as status,
        null as latency_ms
    from runs
),

-- From Kafka's taking an event in to its being readable. What landed without Kafka has no such
-- time.
landings as (
    select
        toStartOfFiveMinutes(toDateTime(occurred_at, 'UTC')) as minute,
        workspace_id,
        '' as agent,
        '' as provider,
        '' as model,
        '' as tool_name,
        'landing' as kind,
        'ok' as status,
        toFloat64(dateDiff('millisecond', appended_at, loaded_at)) as latency_ms
    from events
    where appended_at > toDateTime64(0, 3, 'UTC')
),

-- What succeeded or failed, by everything an objective may be about. Cancelled and unknown are in
-- neither.
outcomes as (
    select
        minute,
        workspace_id,
        agent,
        provider,
        model,
        tool_name,
        kind,
        countIf(status = 'ok') as ok,
        countIf(status in ('error', 'timeout')) as failed,
        groupArrayIf(latency_ms, status = 'ok') as ok_latencies_ms,
        groupArrayIf(latency_ms, status in ('error', 'timeout')) as failed_latencies_ms
    from (
        select * from calls
        union all
        select * from run_ends
        union all
        select * from landings
    ) as what_happened
    where status in ('ok', 'error', 'timeout')
    group by all
),

-- A failed call that was quick is llm_success's affair: for latency it is neither good nor bad,
-- unlike one that was slow.
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
    inner join objectives
        on outcomes.kind = objectives.kind
    where {{ in_scope('objectives', 'outcomes') }}
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
