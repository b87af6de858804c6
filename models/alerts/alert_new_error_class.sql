with

clock as (
    select
        toStartOfFiveMinutes(as_of) as until,
        toDate(as_of) as today
    from {{ ref('slo_clock') }}
    where not is_unknown
),

error_breakdown_daily as (
    select * from {{ ref('error_breakdown_daily') }}
    where
        day >= (select today - 1 from clock)
        and day <= (select today from clock)
),

llm_daily as (
    select * from {{ ref('llm_daily') }}
    where
        day >= (select today - 8 from clock)
        and day <= (select today from clock)
),

-- On its first day everything of a workspace is new, and says nothing.
workspaces as (
    select
        workspace_id,
        min(day) as known_since
    from llm_daily
    group by workspace_id
),

-- Yesterday too: what appeared shortly before midnight is no older for it.
appeared as (
    select
        workspace_id,
        agent,
        event_type,
        provider,
        model,
        tool_name,
        error_class,
        argMin(is_new, day) as is_new_at_first,
        sum(events) as all_events,
        min(first_seen_at) as appeared_at
    from error_breakdown_daily
    group by
        workspace_id,
        agent,
        event_type,
        provider,
        model,
        tool_name,
        error_class
),

firing as (
    select
        appeared.workspace_id as workspace_id,
        appeared.all_events as all_events,
        appeared.appeared_at as appeared_at,
        arrayStringConcat(
            arrayMap(
                part -> if(part = '', '-', toString(part)),
                multiIf(
                    event_type = 'llm_call', [agent, provider, model, error_class],
                    event_type = 'tool_call', [agent, tool_name, error_class],
                    [agent, 'error event', error_class]
                )
            ),
            '/'
        ) as subject,
        clock.until as until
    from appeared
    cross join clock
    inner join workspaces on appeared.workspace_id = workspaces.workspace_id
    where
        is_new_at_first
        and all_events >= {{ var('new_error_min_events') }}
        and appeared_at < until
        and appeared_at >= until - interval 1 day
        and workspaces.known_since < toDate(appeared.appeared_at)
),

final as (
    select
        {{ alert_columns(
            rule_id='new_error_class',
            severity="'notice'",
            workspace_id='workspace_id',
            subject='subject',
            value='all_events',
            threshold=var('new_error_min_events'),
            since='toStartOfFiveMinutes(appeared_at)',
            until='until',
        ) }}
    from firing
)

select * from final
