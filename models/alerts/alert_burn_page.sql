with

{{ burning('page') }},

final as (
    select
        {{ alert_columns(
            rule_id='burn_page',
            severity="'page'",
            workspace_id='firing.workspace_id',
            subject='firing.objective_id',
            value='firing.burn',
            threshold='firing.factor',
            since='stretches.since',
            until='firing.minute + interval 5 minute',
        ) }}
    from firing
    inner join stretches
        on
            firing.objective_id = stretches.objective_id
            and firing.workspace_id = stretches.workspace_id
)

select * from final
