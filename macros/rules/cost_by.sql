{#
    What a day's calls cost by one of their columns (actor_id, agent, route), within the workspace. Every call of the day
    is in, those that name nothing under an empty name, so the rows of a workspace's day sum to the workspace's day.
#}
{% macro cost_by(column) %}
with

agent_events as (
    select * from {{ ref('int_agent_events') }}
    where {{ in_buckets('occurred_hour') }}
),

calls as (
    select
        toDate(occurred_hour) as day,
        workspace_id,
        {{ column }},
        countIf(event_type = 'llm_call') as llm_calls,
        countIf(event_type = 'llm_call' and cost_usd is null) as unpriced_llm_calls,
        countIf(event_type = 'tool_call') as tool_calls,
        sumIf(coalesce(input_tokens, 0), event_type = 'llm_call') as input_tokens,
        sumIf(coalesce(output_tokens, 0), event_type = 'llm_call') as output_tokens,
        sumIf({{ usd('cost_usd') }}, event_type = 'llm_call') as llm_cost_usd,
        sumIf({{ usd('cost_usd') }}, event_type = 'tool_call') as tool_cost_usd
    from agent_events
    where event_type in ('llm_call', 'tool_call')
    group by
        day,
        workspace_id,
        {{ column }}
),

ranked as (
    select
        *,
        llm_cost_usd + tool_cost_usd as cost_usd,
        sum(cost_usd) over (partition by day, workspace_id) as workspace_cost_usd,
        rank() over (partition by day, workspace_id order by cost_usd desc) as cost_rank
    from calls
),

final as (
    select
        day,
        workspace_id,
        {{ column }},
        cost_usd,
        llm_cost_usd,
        tool_cost_usd,
        {{ money_share('cost_usd', 'workspace_cost_usd') }} as cost_share,
        cost_rank,
        llm_calls,
        unpriced_llm_calls,
        tool_calls,
        input_tokens,
        output_tokens
    from ranked
)

select * from final
{% endmacro %}
