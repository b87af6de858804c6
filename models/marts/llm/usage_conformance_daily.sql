{{
    config(
        materialized='bucketed',
        order_by=['workspace_id', 'day', 'scope_name', 'scope_version'],
        meta={
            'change_logs': ['int_changed_hours'],
            'bucket': 'day',
            'bucket_column': 'day',
            'partition': 'month',
        },
    )
}}

-- depends_on: {{ ref('int_changed_hours') }}

with

reports as (
    select
        *,
        toDate(occurred_hour) as day,
        coalesce(input_tokens, 0) + coalesce(output_tokens, 0) as tokens,
        coalesce(twin_event_id, event_id) as call_id,
        event_type = 'llm_call' and is_event as is_counted
    from {{ ref('int_otel_events') }}
    where {{ in_buckets('occurred_hour') }}
),

costs as (
    select
        workspace_id,
        event_id,
        cost_usd
    from {{ ref('int_agent_events') }}
    where {{ in_buckets('occurred_hour') }} and event_type = 'llm_call'
),

roll_up_ids as (
    select
        workspace_id,
        trace_key,
        report_id
    from reports
    where is_roll_up
),

-- Of roll-ups within roll-ups only the outermost is compared, or the same excess counts twice.
inner_roll_ups as (
    select
        workspace_id,
        trace_key,
        report_id
    from reports
    array join ancestors as above_id
    where is_roll_up and (workspace_id, trace_key, above_id) in (select * from roll_up_ids)
),

calls_below as (
    select
        workspace_id,
        trace_key,
        above_id,
        call_id,
        max(tokens) as tokens
    from reports
    array join ancestors as above_id
    where is_call and not is_roll_up and has_usage
    group by
        workspace_id,
        trace_key,
        above_id,
        call_id
),

leaves as (
    select
        calls_below.workspace_id as workspace_id,
        calls_below.trace_key as trace_key,
        calls_below.above_id as above_id,
        sum(calls_below.tokens) as leaf_tokens,
        sum(coalesce(costs.cost_usd, 0)) as leaf_cost_usd
    from calls_below
    left join costs
        on calls_below.workspace_id = costs.workspace_id and calls_below.call_id = costs.event_id
    group by
        workspace_id,
        trace_key,
        above_id
),

compared as (
    select
        roll_ups.day as day,
        roll_ups.workspace_id as workspace_id,
        roll_ups.scope_name as scope_name,
        roll_ups.scope_version as scope_version,
        sum(roll_ups.tokens) as roll_up_tokens,
        sum(leaves.leaf_tokens) as leaf_tokens,
        sum(greatest(toInt64(leaves.leaf_tokens) - toInt64(roll_ups.tokens), 0)) as excess_tokens,
        sum(
            leaves.leaf_cost_usd
            * greatest(toInt64(leaves.leaf_tokens) - toInt64(roll_ups.tokens), 0)
            / nullIf(toInt64(leaves.leaf_tokens), 0)
        ) as excess_usd
    from reports as roll_ups
    inner join leaves
        on
            roll_ups.workspace_id = leaves.workspace_id
            and roll_ups.trace_key = leaves.trace_key
            and roll_ups.report_id = leaves.above_id
    where
        roll_ups.is_roll_up
        and (roll_ups.workspace_id, roll_ups.trace_key, roll_ups.report_id)
        not in (select * from inner_roll_ups)
    group by
        day,
        workspace_id,
        scope_name,
        scope_version
),

counted as (
    select
        reports.day as day,
        reports.workspace_id as workspace_id,
        reports.scope_name as scope_name,
        reports.scope_version as scope_version,
        uniqExact(reports.trace_key, reports.report_id) as reports,
        countIf(reports.is_counted) as calls,
        countIf(reports.is_counted and costs.cost_usd is not null) as priced_calls,
        countIf(reports.is_roll_up) as roll_ups_skipped,
        countIf(reports.is_duplicate_usage) as twins_skipped,
        countIf(reports.is_lone_usage and reports.is_counted) as calls_of_lone_usage,
        sumIf(reports.tokens, reports.is_counted) as counted_tokens,
        sumIf(reports.tokens, not (reports.is_lone_usage and reports.is_counted)) as said_tokens,
        sumIf(costs.cost_usd, reports.is_counted) as cost_usd,
        arraySort(groupUniqArrayArray(reports.unknown_token_attributes)) as unknown_attributes
    from reports
    left join costs
        on reports.workspace_id = costs.workspace_id and reports.event_id = costs.event_id
    group by
        day,
        workspace_id,
        scope_name,
        scope_version
),

final as (
    select
        counted.*,
        coalesce(compared.roll_up_tokens, 0) as roll_up_tokens,
        coalesce(compared.leaf_tokens, 0) as leaf_tokens,
        {{ share('compared.excess_tokens', 'compared.roll_up_tokens') }}
            as suspected_inflation_share,
        compared.excess_usd as suspected_inflation_usd
    from counted
    left join compared using (day, workspace_id, scope_name, scope_version)
)

select * from final
