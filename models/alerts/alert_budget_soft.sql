with

{{ budget_alert('soft') }},

final as (
    select
        {{ alert_columns(
            rule_id='budget_soft',
            severity="'ticket'",
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
