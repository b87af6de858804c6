{{ config(materialized='view') }}

with

clock as (
    select * from {{ ref('int_clock') }}
),

-- With a moved clock (var as_of) the wall clock stands where the watermark does.
final as (
    select
        as_of,
        {{ 'as_of' if var('as_of') else "toDateTime(built_at, 'UTC')" }} as judged_at,
        has_loader,
        toBool(has_loader and as_of = toDateTime(0, 'UTC')) as is_unknown,
        toUInt32(if(
            has_loader and not is_unknown,
            greatest(dateDiff('second', as_of, judged_at), 0),
            0
        )) as behind_s,
        lag_messages,
        is_loader_silent
    from clock
)

select * from final
