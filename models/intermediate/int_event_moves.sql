{{
    config(
        materialized='appended',
        engine='ReplacingMergeTree',
        engine_arguments='change_id',
        order_by=['occurred_hour', 'workspace_id', 'event_id'],
        ttl='toDateTime(moved_at) + interval ' ~ env_var('METERHOUSE_RETENTION_DAYS', '90') ~ ' day',
        query_settings={
            'join_use_nulls': 1,
            'prefer_column_name_to_alias': 1,
            'optimize_aggregation_in_order': 1,
        },
        meta={'change_logs': ['int_changed_hours']},
    )
}}

with

event_index as (
    select * from {{ ref('int_event_index') }}
),

-- Asked of raw, which finds rows by their arrival; the index knows them by their event only.
arrivals as (
    select
        workspace_id,
        event_id
    from {{ ref('stg_agent__events') }}
    where {{ arrived('loaded_at') }}
),

-- The index is ordered by the event: this reads 256 rows an arrival at most, whatever the history.
-- The first build reads it in that order from end to end, and holds one event at a time.
moved as (
    select
        workspace_id,
        event_id,
        groupUniqArray(occurred_hour) as hours,
        max(version) as newest_version,
        max(loaded_at) as newest_loaded_at
    from event_index
    {% if not is_first_build() %}
    where (workspace_id, event_id) in arrivals
    {% endif %}
    group by
        workspace_id,
        event_id
    having length(hours) > 1
),

final as (
    select
        toDateTime(arrayJoin(hours), 'UTC') as occurred_hour,
        workspace_id,
        event_id,
        newest_version as winning_version,
        newest_loaded_at as moved_at,
        {{ change_id() }} as change_id
    from moved
)

select * from final
