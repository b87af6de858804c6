{{
    config(
        materialized='bucketed',
        order_by=['workspace_id', 'trace_key', 'report_id'],
        meta={
            'change_logs': ['int_otel_changed_hours'],
            'feeds': ['int_changed_hours'],
            'bucket': 'hour',
            'hours_at_once': 2,
            'bucket_column': 'started_hour',
            'partition': 'hour',
        },
    )
}}

-- depends_on: {{ ref('int_otel_changed_hours') }}

with recursive

traces_here as (
    select distinct
        workspace_id,
        trace_key
    from {{ ref('int_otel_reports') }}
    where {{ in_buckets('started_hour') }} and kind != ''
),

-- The index is ordered by the trace: where the rest of these traces is.
hours_of_traces as (
    select distinct started_hour from {{ ref('int_otel_arrivals') }}
    where (workspace_id, trace_key) in (select * from traces_here)
),

-- A copy in one hour loses to a newer one in another, as the copies of an event do.
reports as (
    select * from {{ ref('int_otel_reports') }}
    where
        (workspace_id, trace_key) in (select * from traces_here)
        and started_hour in (select * from hours_of_traces)
    order by version desc
    limit 1 by workspace_id, trace_key, report_id
),

-- From each report of this kind of work up through its parents, whatever they are. What is next to
-- it says more than what is far above.
climb as (
    select
        workspace_id,
        trace_key,
        report_id as origin_id,
        parent_id as next_id,
        toUInt16(0) as depth,
        cast([] as Array(String)) as ancestors,
        toString('') as above_kind,
        toString('') as above_tool,
        {%- for field in ['agent', 'session_id', 'run_id', 'actor_id', 'route', 'environment'] %}
        toString({{ field }}) as near_{{ field }},
        {%- endfor %}
        toString(report_id) as top_id,
        toString(kind) as top_kind,
        toString(name) as top_name
    from reports
    where kind != '' and {{ in_buckets('started_hour') }}
    union all
    select
        climb.workspace_id as workspace_id,
        climb.trace_key as trace_key,
        climb.origin_id as origin_id,
        above.parent_id as next_id,
        toUInt16(climb.depth + 1) as depth,
        if(
            above.kind = '',
            climb.ancestors, arrayPushBack(climb.ancestors, toString(above.report_id))
        ) as ancestors,
        if(climb.above_kind = '', toString(above.kind), climb.above_kind) as above_kind,
        if(climb.above_kind = '', toString(above.tool_name), climb.above_tool) as above_tool,
        {%- for field in ['agent', 'session_id', 'run_id', 'actor_id', 'route', 'environment'] %}
        if(
            climb.near_{{ field }} = '', toString(above.{{ field }}), climb.near_{{ field }}
        ) as near_{{ field }},
        {%- endfor %}
        if(above.kind = '', climb.top_id, toString(above.report_id)) as top_id,
        if(above.kind = '', climb.top_kind, toString(above.kind)) as top_kind,
        if(above.kind = '', climb.top_name, toString(above.name)) as top_name
    from climb
    inner join reports as above
        on
            climb.workspace_id = above.workspace_id
            and climb.trace_key = above.trace_key
            and climb.next_id = above.report_id
    where
        climb.next_id != ''
        and climb.depth < {{ otel_policy('trace_depth') }}
        and not has(climb.ancestors, above.report_id)
        and above.report_id != climb.origin_id
),

climbed as (
    select * from climb
    order by depth desc
    limit 1 by workspace_id, trace_key, origin_id
),

final as (
    select
        reports.* except (agent, session_id, run_id, actor_id, route, environment),
        climbed.ancestors as ancestors,
        toBool(
            reports.kind = 'tool' and climbed.above_kind = 'tool'
            and climbed.above_tool = reports.tool_name
        ) as is_same_tool,
        toBool(climbed.top_id = reports.report_id) as is_top,
        -- Work that an agent or a workflow did is a run of it; a call on its own is none.
        multiIf(
            climbed.near_run_id != '', climbed.near_run_id,
            climbed.top_kind in ('agent', 'workflow'),
            concat(reports.trace_key, '-', climbed.top_id),
            ''
        ) as run_id,
        multiIf(
            climbed.near_agent != '', climbed.near_agent,
            climbed.top_kind = 'workflow', climbed.top_name,
            ''
        ) as agent,
        climbed.near_session_id as session_id,
        climbed.near_actor_id as actor_id,
        climbed.near_route as route,
        climbed.near_environment as environment
    from reports
    inner join climbed
        on
            reports.workspace_id = climbed.workspace_id
            and reports.trace_key = climbed.trace_key
            and reports.report_id = climbed.origin_id
)

select * from final
