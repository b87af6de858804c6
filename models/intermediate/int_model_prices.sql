{{
    config(
        materialized='table',
        order_by=['workspace_id', 'provider', 'price_model', 'valid_from'],
    )
}}

with

model_prices as (
    select * from {{ ref('model_prices') }}
),

model_price_overrides as (
    select * from {{ ref('model_price_overrides') }}
),

model_name_rules as (
    select * from {{ ref('model_name_rules') }}
),

catalogue as (
    select
        '' as workspace_id,
        provider,
        model as price_model,
        service_tier,
        false as is_override,
        valid_from,
        valid_to,
        daily_from_s,
        daily_to_s,
        prompt_tokens_from,
        prompt_tokens_to,
        input_usd_per_mtok,
        cache_read_usd_per_mtok,
        cache_write_usd_per_mtok,
        cache_write_1h_usd_per_mtok,
        output_usd_per_mtok,
        usd_per_request,
        not_included,
        source,
        price_version
    from model_prices
),

-- People write the model as the marts show it; that is one or several models of the catalogue, or
-- none.
models_by_name as (
    select distinct
        provider,
        arrayJoin([model, lower(price_model)]) as model,
        price_model
    from model_name_rules
),

overrides as (
    select
        overrides.workspace_id as workspace_id,
        lower(overrides.provider) as provider,
        coalesce(nullIf(models_by_name.price_model, ''), lower(overrides.model)) as price_model,
        if(overrides.service_tier = '', '*', overrides.service_tier) as service_tier,
        true as is_override,
        overrides.valid_from as valid_from,
        overrides.valid_to as valid_to,
        toUInt32(0) as daily_from_s,
        toUInt32(86400) as daily_to_s,
        coalesce(overrides.prompt_tokens_from, 0) as prompt_tokens_from,
        overrides.prompt_tokens_to as prompt_tokens_to,
        overrides.input_usd_per_mtok as input_usd_per_mtok,
        overrides.cache_read_usd_per_mtok as cache_read_usd_per_mtok,
        overrides.cache_write_usd_per_mtok as cache_write_usd_per_mtok,
        overrides.cache_write_1h_usd_per_mtok as cache_write_1h_usd_per_mtok,
        overrides.output_usd_per_mtok as output_usd_per_mtok,
        overrides.usd_per_request as usd_per_request,
        '' as not_included,
        overrides.source as source,
        'override-' || overrides.version as price_version
    from model_price_overrides as overrides
    left join models_by_name
        on
            lower(overrides.provider) = models_by_name.provider
            and lower(overrides.model) = models_by_name.model
),

every_price as (
    select * from catalogue
    union all
    select * from overrides
),

final as (
    select
        workspace_id,
        provider,
        price_model,
        toLowCardinality(service_tier) as service_tier,
        is_override,
        valid_from,
        coalesce(valid_to, toDateTime('2106-01-01 00:00:00', 'UTC')) as valid_to,
        daily_from_s,
        daily_to_s,
        toUInt64(prompt_tokens_from) as prompt_tokens_from,
        coalesce(prompt_tokens_to, toUInt64('18446744073709551615')) as prompt_tokens_to,
        {{ usd_per_token('input_usd_per_mtok') }} as input_usd_per_token,
        {{ usd_per_token('cache_read_usd_per_mtok') }} as cache_read_usd_per_token,
        {{ usd_per_token('cache_write_usd_per_mtok') }} as cache_write_usd_per_token,
        {{ usd_per_token('cache_write_1h_usd_per_mtok') }} as cache_write_1h_usd_per_token,
        {{ usd_per_token('output_usd_per_mtok') }} as output_usd_per_token,
        cast(usd_per_request as Nullable(Decimal(38, 12))) as usd_per_request,
        not_included,
        source,
        price_version
    from every_price
)

select * from final
