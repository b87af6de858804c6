{{
    config(
        materialized='appended',
        order_by=['change_id', 'bucket_at'],
        meta={'change_logs': ['int_changed_run_hours'], 'follows': 'int_changed_hours'},
    )
}}

with

changed_hours as (
    select distinct bucket_at from {{ ref('int_changed_hours') }}
    where {{ unseen('change_id') }}
),

-- Hours in which the silence of a run that never finished may have become long enough since the
-- last build.
silent_hours as (
    select distinct bucket_at - interval {{ var('run_silence_h') }} hour as bucket_at
    from {{ ref('int_passed_hours') }}
    where {{ unseen('change_id') }}
),

run_hours as (
    select * from {{ ref('int_run_hours') }}
),

touched_runs as (
    select distinct
        workspace_id,
        run_id
    from run_hours
    where hour in changed_hours or hour in silent_hours
),

-- A run belongs to the hour of its start. An event that came or went may move that to any hour it
-- has events in, and away from an hour that changed.
changed as (
    select distinct hour as bucket_at from run_hours
    where (workspace_id, run_id) in touched_runs
    union distinct
    select bucket_at from changed_hours
),

final as (
    select
        {{ change_id() }} as change_id,
        bucket_at
    from changed
)

select * from final
