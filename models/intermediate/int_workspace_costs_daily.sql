{{
    config(
        materialized='bucketed',
        order_by=['day', 'workspace_id'],
        meta={
            'change_logs': ['int_changed_hours', 'int_changed_run_hours'],
            'bucket': 'day',
            'bucket_column': 'day',
            'partition': 'month',
        },
    )
}}

-- depends_on: {{ ref('int_changed_hours') }}, {{ ref('int_changed_run_hours') }}

-- What a late row changes of a day is only that day here. What looks across days (month to date,
-- forecast, the same weekdays of eight weeks) is worked out in workspace_cost_daily from these few
-- rows, so no event is read again for it.

with

agent_events as (
    select * from {{ ref('int_agent_events') }}
    where {{ in_buckets('occurred_hour') }}
),

agent_runs as (
    select * from {{ ref('int_agent_runs') }}
    where {{ in_buckets('started_hour') }}
),

-- Money comes from calls only: what a run or a step reports is a roll-up of them.
event_days as (
    select
        toDate(occurred_hour) as day,
        workspace_id,
        count() as events,
        uniqExactIf(actor_id, actor_id != '') as active_actors,
        countIf(event_type = 'llm_call') as llm_calls,
        countIf(event_type = 'llm_call' and cost_usd is not null) as priced_llm_calls,
        countIf(event_type = 'tool_call') as tool_calls,
        sumIf(coalesce(input_tokens, 0), event_type = 'llm_call') as input_tokens,
        sumIf(coalesce(output_tokens, 0), event_type = 'llm_call') as output_tokens,
        sumIf(coalesce(cache_read_tokens, 0), event_type = 'llm_call') as cache_read_tokens,
        sumIf(coalesce(cache_write_tokens, 0), event_type = 'llm_call') as cache_write_tokens,
        sumIf(coalesce(reasoning_tokens, 0), event_type = 'llm_call') as reasoning_tokens,
        sumIf(
            coalesce(input_tokens, 0) + coalesce(output_tokens, 0),
            event_type = 'llm_call' and cost_usd is not null
        ) as priced_tokens,
        sumIf({{ usd('cost_usd') }}, event_type = 'llm_call') as llm_cost_usd,
        sumIf(
            {{ usd('cost_usd') }}, event_type = 'llm_call' and cost_source = 'reported'
        ) as reported_cost_usd,
        sumIf(
            {{ usd('cost_usd') }}, event_type = 'llm_call' and cost_source = 'unit_cost'
        ) as unit_cost_usd,
        sumIf(
            {{ usd('cost_usd') }}, event_type = 'llm_call' and cost_source = 'catalogue'
        ) as catalogue_cost_usd,
        sumIf({{ usd('cost_usd') }}, event_type = 'tool_call') as tool_cost_usd
    from agent_events
    group by
        day,
        workspace_id
),

run_days as (
    select
        toDate(started_hour) as day,
        workspace_id,
        count() as runs,
        sum({{ usd('reported_run_cost_usd') }}) as reported_run_cost_usd
    from agent_runs
    group by
        day,
        workspace_id
),

-- A run stands on the day of its start, where it has an event: every day of a run is here.
final as (
    select
        event_days.day as day,
        event_days.workspace_id as workspace_id,
        event_days.events as events,
        event_days.active_actors as active_actors,
        coalesce(run_days.runs, 0) as runs,
        event_days.llm_calls as llm_calls,
        event_days.priced_llm_calls as priced_llm_calls,
        event_days.tool_calls as tool_calls,
        event_days.input_tokens as input_tokens,
        event_days.output_tokens as output_tokens,
        event_days.cache_read_tokens as cache_read_tokens,
        event_days.cache_write_tokens as cache_write_tokens,
        event_days.reasoning_tokens as reasoning_tokens,
        event_days.priced_tokens as priced_tokens,
        event_days.reported_cost_usd as reported_cost_usd,
        event_days.unit_cost_usd as unit_cost_usd,
        event_days.catalogue_cost_usd as catalogue_cost_usd,
        event_days.llm_cost_usd as llm_cost_usd,
        event_days.tool_cost_usd as tool_cost_usd,
        event_days.llm_cost_usd + event_days.tool_cost_usd as cost_usd,
        {{ usd('run_days.reported_run_cost_usd') }} as reported_run_cost_usd
    from event_days
    left join run_days
        on
            event_days.day = run_days.day
            and event_days.workspace_id = run_days.workspace_id
)

select * from final
