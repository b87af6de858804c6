-- A failing row is a model of the catalogue that has no standard price, or two, for prompts of
-- `prompt_tokens` at `at`, `second_of_day` seconds into a day. Prices can change nowhere but at
-- the starts and ends looked at here. Likely cause: seeds/model_prices.csv was edited or merged by
-- hand; take it back from git and run `meterhouse prices`.
with

int_model_prices as (
    select * from {{ ref('int_model_prices') }}
    where not is_override and service_tier = 'standard'
),

models as (
    select
        provider,
        price_model,
        groupArray((
            valid_from, valid_to, daily_from_s, daily_to_s, prompt_tokens_from, prompt_tokens_to
        )) as cells
    from int_model_prices
    group by
        provider,
        price_model
),

corners as (
    select
        provider,
        price_model,
        cells,
        arrayJoin(arrayDistinct(arrayConcat(
            [toDateTime('1970-01-01 00:00:00', 'UTC')],
            arrayMap(cell -> cell.1, cells),
            arrayFilter(at -> at < '2106-01-01 00:00:00', arrayMap(cell -> cell.2, cells))
        ))) as at,
        arrayJoin(arrayDistinct(arrayConcat(
            [toUInt32(0)],
            arrayMap(cell -> cell.3, cells),
            arrayFilter(second -> second < 86400, arrayMap(cell -> cell.4, cells))
        ))) as second_of_day,
        arrayJoin(arrayDistinct(arrayConcat(
            [toUInt64(0)],
            arrayMap(cell -> cell.5, cells),
            arrayFilter(tokens -> tokens < 18446744073709551615, arrayMap(cell -> cell.6, cells))
        ))) as prompt_tokens
    from models
),

final as (
    select
        provider,
        price_model,
        at,
        second_of_day,
        prompt_tokens,
        arrayCount(
            cell -> cell.1 <= at and at < cell.2
            and cell.3 <= second_of_day and second_of_day < cell.4
            and cell.5 <= prompt_tokens and prompt_tokens < cell.6,
            cells
        ) as prices
    from corners
    where prices != 1
)

select * from final
