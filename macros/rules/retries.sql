{#
    `calls` with is_retry: whether a call was made again after a failure, as far as events say. It is one where the call
    before it of the same run and the same thing (`what`, columns) ended in error or timeout, at most ten minutes before.
    Without a run_id nothing can be said: is_retry is null. Of calls made at the same time, the earlier counts as the
    call before.

    A retry may look back into the hour before: read the calls of that hour too (in_buckets_or_just_before), and give
    the model meta.spread_days of an hour.
#}
{% macro with_retries(calls, what) %}
    select
        *,
        lagInFrame(status) over previous_call as previous_status,
        lagInFrame(occurred_at) over previous_call as previous_at,
        if(
            run_id = '',
            null,
            previous_status in ('error', 'timeout')
            and previous_at >= occurred_at - interval 10 minute
        ) as is_retry
    from {{ calls }}
    window previous_call as (
        partition by workspace_id, run_id, {{ what | join(', ') }}
        order by occurred_at, event_id
        rows between 1 preceding and current row
    )
{% endmacro %}
