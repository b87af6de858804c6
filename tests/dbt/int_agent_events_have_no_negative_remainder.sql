-- A failing row is a call whose cached tokens exceed its input tokens, or whose hour-long cache
-- writes exceed its cache writes: the rest would cost less than nothing, so the call is unpriced.
-- The loader refuses the first kind, so likely causes are rows that came around it, or a producer
-- whose context.cache_write_1h_tokens is not part of cache_write_tokens. The event is named here;
-- its source says whom to ask.
with

int_agent_events as (
    select * from {{ ref('int_agent_events') }}
),

final as (
    select
        workspace_id,
        event_id,
        source,
        input_tokens,
        cache_read_tokens,
        cache_write_tokens,
        uncached_input_tokens
    from int_agent_events
    where uncached_input_tokens < 0 or unpriced_reason = 'negative_remainder'
)

select * from final
