with

clock as (
    select toStartOfFiveMinutes(as_of) as until from {{ ref('slo_clock') }}
    where not is_unknown
),

objectives as (
    select
        id,
        toFloat64(objective) as objective,
        min_events
    from {{ ref('slo_objectives') }}
    where indicator = 'tool_success'
),

slo_5m as (
    select * from {{ ref('slo_5m') }}
    where
        minute >= (select until - interval 1 day from clock)
        and minute < (select until from clock)
        and objective_id in (select id from objectives)
),

-- The hour that ends with each five minutes.
windows as (
    select
        workspace_id,
        objective_id,
        minute,
        sum(good) over last_hour as good_1h,
        sum(valid) over last_hour as valid_1h
    from slo_5m
    window last_hour as (
        partition by objective_id, workspace_id
        order by toUnixTimestamp(minute)
        range between 3300 preceding and current row
    )
),

-- Under it beyond doubt: also the upper end of the 95 % interval is.
under_objective as (
    select
        windows.workspace_id as workspace_id,
        windows.objective_id as objective_id,
        objectives.objective as objective,
        windows.minute as block_at,
        windows.good_1h / windows.valid_1h as value,
        clock.until as until
    from windows
    inner join objectives on windows.objective_id = objectives.id
    cross join clock
    where
        windows.valid_1h >= objectives.min_events
        and {{ wilson_high('windows.good_1h', 'windows.valid_1h') }} < objectives.objective
),

firing as (
    {{ present_stretches('under_objective', ['workspace_id', 'objective_id', 'objective']) }}
),

final as (
    select
        {{ alert_columns(
            rule_id='tool_success',
            severity="'ticket'",
            workspace_id='workspace_id',
            subject='objective_id',
            value='value',
            threshold='objective',
            since='since',
            until='until',
        ) }}
    from firing
)

select * from final
