{{
    config(
        materialized='appended',
        order_by=['kind', 'provider', 'model', 'noticed_at'],
        meta={'change_logs': ['int_changed_hours']},
    )
}}

-- It builds as far as what came in, so that the hours it names are rebuilt by this very build:
-- depends_on: {{ ref('int_event_index') }}, {{ ref('int_model_hours') }}

with

model_prices as (
    select * from {{ ref('int_model_prices') }}
),

model_names as (
    select * from {{ ref('int_model_names') }}
),

-- `content` is all of it that decides what a call costs, but for when.
today as (
    select
        'price' as kind,
        is_override,
        workspace_id,
        provider,
        price_model as model,
        cityHash64(
            service_tier, daily_from_s, daily_to_s, prompt_tokens_from, prompt_tokens_to,
            tuple(input_usd_per_token), tuple(cache_read_usd_per_token),
            tuple(cache_write_usd_per_token), tuple(cache_write_1h_usd_per_token),
            tuple(output_usd_per_token), tuple(usd_per_request), price_version
        ) as content,
        valid_from,
        valid_to,
        price_version as says
    from model_prices
    union all
    select
        'name' as kind,
        false as is_override,
        '' as workspace_id,
        reported_provider as provider,
        reported_model as model,
        cityHash64(provider, model_names.model, price_provider, price_model) as content,
        toDateTime(0, 'UTC') as valid_from,
        toDateTime('2106-01-01 00:00:00', 'UTC') as valid_to,
        concat(model_names.provider, ' ', model_names.model) as says
    from model_names
),

{% set key = [
    'kind', 'is_override', 'workspace_id', 'provider', 'model', 'content', 'valid_from', 'valid_to'
] | join(', ') -%}

known as (
    {% if is_first_build() %}
    select
        today.*,
        true as is_known
    from today
    where false
    {% else %}
    select
        {{ key }},
        argMax(says, noticed_at) as says,
        argMax(is_in_force, noticed_at) as is_known
    from {{ this }}
    group by {{ key }}
    having is_known
    {% endif %}
),

differences as (
    select
        {{ key }},
        any(says) as says,
        sum(in_today) > 0 as is_in_force
    from (
        select
            {{ key }},
            says,
            1 as in_today
        from today
        union all
        select
            {{ key }},
            says,
            0 as in_today
        from known
    )
    group by {{ key }}
    having count() = 1
),

names_before as (
    select distinct
        provider,
        model
    from known
    where kind = 'name'
),

final as (
    select
        {{ change_id() }} as change_id,
        now64(3, 'UTC') as noticed_at,
        toLowCardinality(kind) as kind,
        toBool(is_override) as is_override,
        cast(workspace_id as String) as workspace_id,
        cast(provider as String) as provider,
        cast(model as String) as model,
        content,
        valid_from,
        valid_to,
        says,
        toBool(is_in_force) as is_in_force,
        -- What nothing was priced by before changes nothing: the first list, a name's first call.
        {% if is_first_build() -%}
        true
        {%- else -%}
        toBool(kind = 'name' and (provider, model) not in names_before)
        {%- endif %} as is_first_seen
    from differences
)

select * from final
