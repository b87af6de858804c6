-- A failing row is a negotiated price that cannot be one: a rate below zero, with more than six
-- decimals a million tokens (a cost has twelve a token, and would be rounded), no rate at all, or
-- a period or range that ends before it begins. Likely cause: a price a token or a thousand tokens
-- was typed into seeds/model_price_overrides.csv as one a million.
with

model_price_overrides as (
    select * from {{ ref('model_price_overrides') }}
),

with_rates as (
    select
        *,
        arrayFilter(rate -> rate is not null, [
            input_usd_per_mtok,
            cache_read_usd_per_mtok,
            cache_write_usd_per_mtok,
            cache_write_1h_usd_per_mtok,
            output_usd_per_mtok,
            usd_per_request
        ]) as rates
    from model_price_overrides
),

final as (
    select
        workspace_id,
        provider,
        model,
        version,
        multiIf(
            empty(rates), 'no rate',
            arrayExists(rate -> rate < 0, rates), 'a rate below zero',
            arrayExists(rate -> round(rate, 6) != rate, rates), 'more than six decimals',
            valid_to <= valid_from, 'it ends before it begins',
            prompt_tokens_to <= coalesce(prompt_tokens_from, 0), 'no prompt is in its range',
            ''
        ) as complaint
    from with_rates
    where complaint != ''
)

select * from final
