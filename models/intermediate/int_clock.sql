{{ config(materialized='table', order_by='tuple()') }}

with

completeness as (
    select * from {{ source('loading', 'completeness') }}
    where topic in ({{ agent_topics() }})
),

reported as (
    select
        count() as topics,
        if(countIf(isNull(complete_to)) > 0, null, min(complete_to)) as complete_to,
        sum(lag) as lag_messages,
        countIf(is_stale) > 0 as is_stale
    from completeness
),

-- Where no loader reports, rows landed by other means: what is in is taken as complete to its newest event.
newest as (
    select least(max(occurred_at), now64(3, 'UTC')) as newest_occurred_at
    from {{ ref('stg_agent__events') }}
    where occurred_at <= now64(3, 'UTC')
),

final as (
    select
        toDateTime(
            {% if var('as_of') %}
                '{{ var("as_of") }}'
            {% else %}
                if(reported.topics > 0, coalesce(reported.complete_to, toDateTime64(0, 3, 'UTC')), newest.newest_occurred_at)
            {% endif %},
            'UTC'
        ) as as_of,
        reported.complete_to as complete_to,
        toUInt64(coalesce(reported.lag_messages, 0)) as lag_messages,
        toBool(reported.topics > 0) as has_loader,
        toBool(reported.topics > 0 and reported.is_stale) as is_loader_silent,
        now64(3, 'UTC') as built_at
    from reported
    cross join newest
)

select * from final
