with

{{ budget_alert('hard') }},

final as (
    select
        {{ alert_columns(
            rule_id='budget_hard',
            severity="'page'",
            workspace_id='workspace_id',
            subject='subject',
            value='spent_usd',
            threshold='limit_usd',
            since='since',
            until='as_of',
        ) }}
    from firing
)

select * from final
