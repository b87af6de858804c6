-- A failing row is two prices that hold for the same call of the same model: which of them priced
-- it is an accident. Likely cause: a row of seeds/model_price_overrides.csv was added without a
-- valid_to on the one before it, or two rows mean the same model under two names, or one row is
-- for all tiers and another for one of them.
with

int_model_prices as (
    select * from {{ ref('int_model_prices') }}
),

final as (
    select
        one.workspace_id as workspace_id,
        one.provider as provider,
        one.price_model as price_model,
        one.price_version as price_version,
        other.price_version as other_price_version,
        greatest(one.valid_from, other.valid_from) as overlap_from,
        least(one.valid_to, other.valid_to) as overlap_to
    from int_model_prices as one
    inner join int_model_prices as other
        on
            one.workspace_id = other.workspace_id
            and one.provider = other.provider
            and one.price_model = other.price_model
            and one.is_override = other.is_override
    where
        (one.valid_from, one.daily_from_s, one.prompt_tokens_from, one.service_tier)
        < (other.valid_from, other.daily_from_s, other.prompt_tokens_from, other.service_tier)
        and (one.service_tier = other.service_tier or '*' in (one.service_tier, other.service_tier))
        and one.valid_from < other.valid_to
        and other.valid_from < one.valid_to
        and one.daily_from_s < other.daily_to_s
        and other.daily_from_s < one.daily_to_s
        and one.prompt_tokens_from < other.prompt_tokens_to
        and other.prompt_tokens_from < one.prompt_tokens_to
)

select * from final
