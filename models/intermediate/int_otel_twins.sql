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

-- All reports of one call, however many instrumentations tell of it and however often one of them
-- was put on, and which of them counts.
-- depends_on: {{ ref('int_otel_changed_hours') }}

with recursive

hours_around as (
    {{ otel_hours_around() }}
),

nearest as (
    select
        *,
        {{ otel_report_key('trace_key', 'report_id') }} as report_key,
        {{ otel_report_key('other_trace_key', 'other_report_id') }} as other_key
    from {{ ref('int_otel_nearest') }}
    where started_hour in (select * from hours_around)
),

-- Each the other's: what one has above it has the other below.
links as (
    select
        one.workspace_id as workspace_id,
        one.trace_key as trace_key,
        one.report_id as report_id,
        one.started_hour as started_hour,
        one.report_key as from_key,
        one.other_key as to_key,
        other.other_from_us as from_us,
        one.other_from_us as to_us,
        {{ otel_worth('other') }} as from_worth,
        {{ otel_worth('one') }} as to_worth,
        one.side = 'same_id' as is_by_id,
        one.side = 'beside' as is_by_time
    from nearest as one
    inner join nearest as other
        on
            one.report_key = other.other_key
            and one.other_key = other.report_key
    where
        (one.side, other.side) in (
            ('same_id', 'same_id'), ('above', 'below'), ('below', 'above'), ('beside', 'beside')
        )
),

-- From each report of these hours on to what tells of the same call as its twin does. By time and
-- by id once at most: those of one id know each other, and over two likenesses lies another call.
-- All begin near the first, so what is found does not depend on hours that were not built.
reached as (
    select
        workspace_id,
        trace_key,
        report_id,
        started_hour,
        from_key,
        from_us,
        from_worth,
        to_key,
        to_us,
        to_worth,
        is_by_id,
        is_by_time,
        [to_key] as path
    from links
    where {{ in_buckets('started_hour') }}
    union all
    select
        reached.workspace_id as workspace_id,
        reached.trace_key as trace_key,
        reached.report_id as report_id,
        reached.started_hour as started_hour,
        reached.from_key as from_key,
        reached.from_us as from_us,
        reached.from_worth as from_worth,
        onward.to_key as to_key,
        onward.to_us as to_us,
        onward.to_worth as to_worth,
        reached.is_by_id or onward.is_by_id as is_by_id,
        reached.is_by_time or onward.is_by_time as is_by_time,
        arrayPushBack(reached.path, onward.to_key) as path
    from reached
    inner join links as onward on reached.to_key = onward.from_key
    where
        length(reached.path) < {{ otel_policy('twin_hops') }}
        and not (reached.is_by_id and onward.is_by_id)
        and not (reached.is_by_time and onward.is_by_time)
        and onward.to_key != reached.from_key
        and not has(reached.path, onward.to_key)
        and abs(reached.to_us - reached.from_us) <= {{ otel_twin_start_us() }}
        and abs(onward.to_us - reached.from_us) <= {{ otel_twin_start_us() }}
),

known as (
    select
        other_key,
        any(other_agent) as agent,
        any(other_session_id) as session_id,
        any(other_run_id) as run_id,
        any(other_actor_id) as actor_id,
        any(other_route) as route
    from nearest
    group by other_key
),

final as (
    select
        reached.workspace_id as workspace_id,
        reached.trace_key as trace_key,
        reached.report_id as report_id,
        any(reached.started_hour) as started_hour,
        toUInt32(uniqExact(reached.to_key)) as twins,
        {%- for field in ['agent', 'session_id', 'run_id', 'actor_id', 'route'] %}
        max(known.{{ field }}) as twin_{{ field }},
        {%- endfor %}
        max(reached.to_worth) as best_worth,
        toBool(best_worth > any(reached.from_worth)) as is_duplicate,
        if(is_duplicate, best_worth.4, '') as twin_trace_key,
        if(is_duplicate, best_worth.3, '') as twin_report_id
    from reached
    inner join known on reached.to_key = known.other_key
    group by
        workspace_id,
        trace_key,
        report_id
)

select * except (best_worth) from final
