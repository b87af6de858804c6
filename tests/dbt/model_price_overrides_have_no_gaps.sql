-- A failing row is a negotiated price that ends without another that begins at once, though a
-- later one is there: calls in between cost what the catalogue says. Likely cause: a date of
-- seeds/model_price_overrides.csv is off by a day; valid_to is exclusive, so it is the valid_from
-- of the next row. A contract that did lapse is no fault: hence a warning.
{{ config(severity='warn') }}

with

int_model_prices as (
    select * from {{ ref('int_model_prices') }}
    where is_override
),

final as (
    select
        ended.workspace_id as workspace_id,
        ended.provider as provider,
        ended.price_model as price_model,
        ended.service_tier as service_tier,
        ended.price_version as price_version,
        ended.valid_to as gap_from,
        min(later.valid_from) as gap_to
    from int_model_prices as ended
    inner join int_model_prices as later
        on
            ended.workspace_id = later.workspace_id
            and ended.provider = later.provider
            and ended.price_model = later.price_model
            and ended.service_tier = later.service_tier
    where later.valid_to > ended.valid_to
    group by
        workspace_id,
        provider,
        price_model,
        service_tier,
        price_version,
        gap_from
    having gap_to > gap_from
)

select * from final
