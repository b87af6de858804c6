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

-- Which other reports may tell of the same call: all of one response's id, and of each
-- instrumentation the nearest above, below and beside. Ids that differ prove two calls.
-- depends_on: {{ ref('int_otel_changed_hours') }}

with

hours_around as (
    {{ otel_hours_around() }}
),

calls as (
    select
        *,
        -- No two alike, or a join by time would take either.
        from_us * 1024 + toInt64(cityHash64(trace_key, report_id) % 1024) as from_key
    from {{ ref('int_otel_usage') }}
    where is_call and not is_roll_up and started_hour in (select * from hours_around)
),

calls_here as (
    select * from calls
    where {{ in_buckets('started_hour') }}
),

calls_by_parent as (
    select
        *,
        arrayJoin(arrayEnumerate(ancestors)) as levels,
        ancestors[levels] as above_id
    from calls
),

calls_here_by_parent as (
    select * from calls_by_parent
    where {{ in_buckets('started_hour') }}
),

-- An id that more reports bear than there are instrumentations is a constant, not an id.
real_ids as (
    select
        workspace_id,
        response_id
    from calls
    where response_id != ''
    group by
        workspace_id,
        response_id
    having count() between 2 and {{ otel_policy('id_group') }}
),

by_id as (
    select {{ otel_pair_columns(0, 'same_id', otel_time_apart()) }}
    from calls_here as one
    inner join calls as other
        on
            one.workspace_id = other.workspace_id
            and one.response_id = other.response_id
    where
        (one.workspace_id, one.response_id) in (select * from real_ids)
        and (one.trace_key, one.report_id) != (other.trace_key, other.report_id)
        and {{ otel_begin_together() }}
        and {{ otel_id_is_believed() }}
),

by_parent as (
    select {{ otel_pair_columns(otel_nested_sign(), 'above', 'one.levels') }}
    from calls_here_by_parent as one
    inner join calls as other
        on
            one.workspace_id = other.workspace_id
            and one.trace_key = other.trace_key
            and one.above_id = other.report_id
    where {{ otel_may_be_nested() }}
),

by_child as (
    select {{ otel_pair_columns(otel_nested_sign(), 'below', 'other.levels') }}
    from calls_here as one
    inner join calls_by_parent as other
        on
            one.workspace_id = other.workspace_id
            and one.trace_key = other.trace_key
            and one.report_id = other.above_id
    where {{ otel_may_be_nested() }}
),

scopes as (
    select distinct
        workspace_id as scope_workspace_id,
        scope_name as asked_scope_name
    from calls
),

asked as (
    select * from calls_here
    inner join scopes on calls_here.workspace_id = scopes.scope_workspace_id
    where scope_name != asked_scope_name
),

-- The last of each to begin before it and the first after it: a join by time, since the pairs of a
-- thousand equal calls would be a million.
{% for name, direction in [('by_time_before', '>='), ('by_time_after', '<=')] -%}
{{ name }} as (
    select {{ otel_pair_columns(3, 'beside', otel_time_apart()) }}
    from asked as one
    asof join calls as other
        on
            one.workspace_id = other.workspace_id
            and one.asked_scope_name = other.scope_name
            and one.service = other.service
            and one.model_core = other.model_core
            and one.input_count = other.input_count
            and one.output_count = other.output_count
            and one.from_key {{ direction }} other.from_key
    where
        {{ otel_begin_together() }}
        and {{ otel_overlap() }}
        and {{ otel_ids_agree() }}
),

{% endfor -%}

pairs as (
    {% for name in ['by_id', 'by_parent', 'by_child', 'by_time_before', 'by_time_after'] -%}
    select * from {{ name }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

final as (
    {{ otel_nearest('pairs') }}
)

select * from final
