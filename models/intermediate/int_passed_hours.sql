{{
    config(
        materialized='appended',
        order_by=['change_id', 'bucket_at'],
        meta={'change_logs': ['int_passed_hours'], 'follows': 'int_changed_hours'},
    )
}}

with

ticks as (
    select * from {{ ref('int_clock_ticks') }}
    where {{ unseen('change_id') }}
),

-- From the lower of the two times, since a watermark may step back; from 1970, which says "not
-- known", no further than what raw keeps.
spans as (
    select
        greatest(
            least(min(previous_as_of), min(as_of)),
            max(as_of) - interval {{ env_var('METERHOUSE_RETENTION_DAYS', '90') }} day
        ) as passed_from,
        greatest(max(previous_as_of), max(as_of)) as passed_to
    from ticks
    having count() > 0
),

final as (
    select
        {{ change_id() }} as change_id,
        arrayJoin(arrayMap(
            hour -> toDateTime(hour, 'UTC'),
            range(
                toUnixTimestamp(toStartOfHour(passed_from)),
                toUnixTimestamp(passed_to) + 1,
                3600
            )
        )) as bucket_at
    from spans
)

select * from final
