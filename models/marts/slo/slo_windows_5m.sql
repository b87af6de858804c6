{%- set windows = burn_windows() -%}
{%- set lookback_days = var('slo_lookback_days') -%}
{%- set sums = sums_to_look_up() -%}
{{
    config(
        materialized='bucketed',
        order_by=['objective_id', 'workspace_id', 'minute'],
        meta={
            'change_logs': ['int_changed_hours', 'int_changed_run_hours', 'int_passed_hours'],
            'bucket': 'hour',
            'bucket_column': 'hour',
            'partition': 'day',
            'spread_days': lookback_days,
            'rebuilt_by': ['slo_objectives'],
        },
    )
}}

-- depends_on: {{ ref('int_changed_hours') }}, {{ ref('int_changed_run_hours') }}
-- depends_on: {{ ref('int_passed_hours') }}

with

objectives as (
    select * from {{ ref('slo_objectives') }}
),

-- Every 5 minutes of the hours being built, whether anything happened or not.
minutes as (
    select minute
    from (
        select toDateTime(arrayJoin(range(first_at, end_at, 300)), 'UTC') as minute
        from (
            select
                toUInt32(min(hour)) as first_at,
                toUInt32(max(hour)) + {{ lookback_days * 86400 }} as end_at
            from {{ ref('slo_5m') }}
            having count() > 0
        )
    )
    where {{ in_buckets('minute') }}
),

five_minutes as (
    select * from {{ ref('slo_5m') }}
    where
        hour >= (select min(minute) - interval {{ lookback_days }} day from minutes)
        and hour <= (select max(minute) from minutes)
),

-- Counted from the start of the lookback: what happened in a window is the difference of two of
-- these sums.
running as (
    select
        objective_id,
        workspace_id,
        minute,
        sum(valid) over so_far as valid_so_far,
        sum(bad) over so_far as bad_so_far
    from five_minutes
    window so_far as (
        partition by objective_id, workspace_id
        order by minute
        rows between unbounded preceding and current row
    )
),

pairs as (
    select
        five_minutes.objective_id as objective_id,
        five_minutes.workspace_id as workspace_id,
        any(objectives.window_days) as window_days
    from five_minutes
    inner join objectives
        on five_minutes.objective_id = objectives.id
    group by
        objective_id,
        workspace_id
),

-- One row a sum to look up: which one, and how many seconds back it ends. A window that ends with
-- these 5 minutes is what came up to now less what came up to its length before.
lookups as (
    select
        pairs.objective_id as objective_id,
        pairs.workspace_id as workspace_id,
        minutes.minute as minute,
        arrayJoin(arrayEnumerate(seconds_back)) as sum_number,
        [{{ sums.values() | join(', ') }}] as seconds_back,
        minutes.minute - seconds_back[sum_number] as up_to
    from pairs
    cross join minutes
),

found as (
    select
        {% for name in sums %}
        sumIf(
            coalesce(running.valid_so_far, 0), lookups.sum_number = {{ loop.index }}
        ) as valid_to_{{ name }},
        {% endfor %}
        {% for name in sums if 'week' not in name %}
        sumIf(
            coalesce(running.bad_so_far, 0), lookups.sum_number = {{ loop.index }}
        ) as bad_to_{{ name }},
        {% endfor %}
        lookups.objective_id as objective_id,
        lookups.workspace_id as workspace_id,
        lookups.minute as minute
    from lookups
    asof left join running
        on
            lookups.objective_id = running.objective_id
            and lookups.workspace_id = running.workspace_id
            and lookups.up_to >= running.minute
    group by
        objective_id,
        workspace_id,
        minute
),

final as (
    select
        minute,
        toStartOfHour(minute) as hour,
        objective_id,
        workspace_id,
        {% for name in windows %}
        toUInt64(valid_to_now - valid_to_{{ name }}) as valid_{{ name }},
        toUInt64(bad_to_now - bad_to_{{ name }}) as bad_{{ name }},
        {% endfor %}
        {% for name in long_windows() %}
        {{ usual_volume(name) }} as usual_valid_{{ name }},
        {% endfor %}
        toUInt64(valid_to_now - valid_to_window) as window_valid,
        toUInt64(bad_to_now - bad_to_window) as window_bad
    from found
    where valid_to_now > valid_to_window
)

select * from final
