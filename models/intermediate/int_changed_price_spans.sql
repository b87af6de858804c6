{{ config(materialized='view') }}

with

price_changes as (
    select * from {{ ref('int_price_changes') }}
    where not is_first_seen
),

-- A row that went and one of the same content that came cancel out where both hold: a price that is
-- closed changes nothing of the time before.
edges as (
    select
        noticed_at,
        kind,
        is_override,
        workspace_id,
        provider,
        model,
        content,
        tupleElement(edge, 1) as edge_at,
        sum(tupleElement(edge, 2)) as change
    from price_changes
    array join
        [
            (valid_from, if(is_in_force, 1, -1)),
            (valid_to, if(is_in_force, -1, 1))
        ] as edge
    group by
        noticed_at,
        kind,
        is_override,
        workspace_id,
        provider,
        model,
        content,
        edge_at
),

spans as (
    select
        *,
        sum(change) over earlier as difference,
        leadInFrame(edge_at) over later as until_at
    from edges
    window
        earlier as (
            partition by noticed_at, kind, is_override, workspace_id, provider, model, content
            order by edge_at
            rows between unbounded preceding and current row
        ),
        later as (
            partition by noticed_at, kind, is_override, workspace_id, provider, model, content
            order by edge_at
            rows between unbounded preceding and unbounded following
        )
),

final as (
    select distinct
        noticed_at,
        kind,
        is_override,
        workspace_id,
        provider,
        model,
        edge_at as from_at,
        until_at
    from spans
    where difference != 0
)

select * from final
