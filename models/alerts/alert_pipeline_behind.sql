with

clock as (
    select * from {{ ref('slo_clock') }}
),

-- Either the watermark stands still, or it is not known at all. It began when the watermark's age
-- passed the limit.
firing as (
    select
        *,
        {{ var('behind_alert_s') }} as limit_s
    from clock
    where behind_s > limit_s or is_unknown
),

final as (
    select
        {{ alert_columns(
            rule_id='pipeline_behind',
            severity="if(is_unknown, 'ticket', 'page')",
            workspace_id="''",
            subject="if(is_unknown, 'completeness unknown', 'completeness')",
            value='behind_s',
            threshold='limit_s',
            since='if(is_unknown, judged_at, as_of + limit_s)',
            until='judged_at',
        ) }}
    from firing
)

select * from final
