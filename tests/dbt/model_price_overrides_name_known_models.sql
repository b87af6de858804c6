-- A failing row is a negotiated price that no call can get: no rule, price or call knows its
-- provider and model. Likely cause: a name in seeds/model_price_overrides.csv that is not spelled
-- as in the marts (llm_daily.provider and model). A model that is agreed on before its first call
-- is no fault: hence a warning.
{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'model_price_overrides'}}}) }}

with

model_price_overrides as (
    select * from {{ ref('model_price_overrides') }}
),

known_models as (
    select
        provider,
        arrayJoin([model, lower(price_model)]) as model
    from {{ ref('model_name_rules') }}
    union distinct
    select
        provider,
        arrayJoin([model, lower(price_model)]) as model
    from {{ ref('int_model_names') }}
),

final as (
    select
        overrides.workspace_id as workspace_id,
        overrides.provider as provider,
        overrides.model as model,
        overrides.version as version
    from model_price_overrides as overrides
    left anti join known_models
        on
            lower(overrides.provider) = known_models.provider
            and lower(overrides.model) = known_models.model
)

select * from final
