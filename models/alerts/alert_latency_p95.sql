with

clock as (
    select toStartOfFiveMinutes(as_of) as until from {{ ref('slo_clock') }}
    where not is_unknown
),

objectives as (
    select id from {{ ref('slo_objectives') }}
    where indicator = 'llm_latency'
),

slo_5m as (
    select * from {{ ref('slo_5m') }}
    where
        minute >= (select until - interval 1 day from clock)
        and minute < (select until from clock)
        and objective_id in (select id from objectives)
),

-- The p95 is over the target where more than 5 % of the calls are slower than the target.
over_limit as (
    select
        slo_5m.workspace_id as workspace_id,
        slo_5m.objective_id as objective_id,
        slo_5m.minute as block_at,
        slo_5m.bad / slo_5m.valid as value,
        clock.until as until
    from slo_5m
    cross join clock
    where
        slo_5m.bad > 0.05 * slo_5m.valid
        and slo_5m.bad >= {{ var('alert_min_errors') }}
),

firing as (
    {{ present_stretches('over_limit', ['workspace_id', 'objective_id'], 10) }}
),

final as (
    select
        {{ alert_columns(
            rule_id='latency_p95',
            severity="'ticket'",
            workspace_id='workspace_id',
            subject='objective_id',
            value='value',
            threshold='0.05',
            since='since',
            until='until',
        ) }}
    from firing
)

select * from final
