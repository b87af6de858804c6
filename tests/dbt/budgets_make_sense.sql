-- A row is a budget that cannot do what its author meant: for an agent and an actor at once, without any amount, with an
-- amount that is not above zero, or with a soft amount above its hard one. Likely cause: a slip in seeds/budgets.csv.
select
    budget_id,
    multiIf(
        agent != '' and actor_id != '', 'a budget is for a workspace, an agent or an actor: leave agent or actor_id empty',
        coalesce(soft_usd_day, hard_usd_day, soft_usd_month, hard_usd_month) is null, 'give it at least one amount',
        least(
            coalesce(soft_usd_day, 1), coalesce(hard_usd_day, 1), coalesce(soft_usd_month, 1), coalesce(hard_usd_month, 1)
        ) <= 0, 'an amount has to be above 0; leave it empty for none',
        soft_usd_day > hard_usd_day or soft_usd_month > hard_usd_month, 'the soft amount has to be at most the hard one',
        ''
    ) as what_is_wrong
from {{ ref('budgets') }}
where what_is_wrong != ''
