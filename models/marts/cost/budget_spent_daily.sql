{{ config(materialized='table', order_by=['day', 'workspace_id', 'scope', 'subject']) }}

-- This month and the last, of those that have a budget: small by nature, so made whole each time.

with

cost_by_agent_daily as (
    select * from {{ ref('cost_by_agent_daily') }}
),

cost_by_actor_daily as (
    select * from {{ ref('cost_by_actor_daily') }}
),

clock as (
    select toStartOfMonth(as_of) - interval 1 month as first_day from {{ ref('int_clock') }}
),

budgets as (
    select
        *,
        multiIf(agent != '', 'agent', actor_id != '', 'actor', 'workspace') as scope,
        concat(agent, actor_id) as subject
    from {{ ref('budgets') }}
),

spent as (
    select
        day,
        workspace_id,
        'workspace' as scope,
        '' as subject,
        sum(cost_usd) as cost_usd
    from cost_by_agent_daily
    where day >= (select first_day from clock)
    group by
        day,
        workspace_id
    union all
    select
        day,
        workspace_id,
        'agent' as scope,
        cast(agent as String) as subject,
        cost_usd
    from cost_by_agent_daily
    where agent != '' and day >= (select first_day from clock)
    union all
    select
        day,
        workspace_id,
        'actor' as scope,
        actor_id as subject,
        cost_usd
    from cost_by_actor_daily
    where actor_id != '' and day >= (select first_day from clock)
),

-- A named workspace goes before each of them, then a named agent or actor before each of them.
with_budget as (
    select
        spent.day as day,
        spent.workspace_id as workspace_id,
        spent.scope as scope,
        spent.subject as subject,
        spent.cost_usd as cost_usd,
        budgets.budget_id as budget_id,
        budgets.owner as owner,
        budgets.soft_usd_day as soft_usd_day,
        budgets.hard_usd_day as hard_usd_day,
        budgets.soft_usd_month as soft_usd_month,
        budgets.hard_usd_month as hard_usd_month
    from spent
    inner join budgets
        on spent.scope = budgets.scope
    where
        budgets.workspace_id in ('*', spent.workspace_id)
        and budgets.subject in ('*', spent.subject)
    order by
        budgets.workspace_id = '*',
        budgets.subject = '*',
        budgets.budget_id
    limit 1 by day, workspace_id, scope, subject
),

final as (
    select
        day,
        workspace_id,
        toLowCardinality(scope) as scope,
        subject,
        toLowCardinality(budget_id) as budget_id,
        owner,
        cost_usd,
        sum(cost_usd) over (
            partition by workspace_id, scope, subject, toStartOfMonth(day)
            order by day
            rows between unbounded preceding and current row
        ) as month_cost_usd,
        soft_usd_day,
        hard_usd_day,
        soft_usd_month,
        hard_usd_month,
        {{ money_share('cost_usd', 'coalesce(hard_usd_day, soft_usd_day)') }} as day_spent_share,
        {{ money_share('month_cost_usd', 'coalesce(hard_usd_month, soft_usd_month)') }}
            as month_spent_share
    from with_budget
)

select * from final
