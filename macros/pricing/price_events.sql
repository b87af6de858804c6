{#
    What a call cost, from what its event says and the prices that were in force. docs/prices.md has the rule in words,
    ingest/prices/reference.py the same rule in Python; tests hold the two against each other.
#}

{# How the call was served, by its context: batch, flex, priority, fast; all other words mean standard. #}
{% macro service_tier(context) -%}
    arrayFirst(
        tier -> tier in ('batch', 'flex', 'priority', 'fast', 'standard'),
        arrayConcat(
            arrayMap(
                key -> lower(JSONExtractString({{ context }}, key)),
                ['processing', 'speed', 'service_tier']
            ),
            ['standard']
        )
    )
{%- endmacro %}

{# The part of cache_write_tokens that was written for an hour, by the context; NULL where it does not say. #}
{% macro cache_write_1h_tokens(context) -%}
    JSONExtract({{ context }}, 'cache_write_1h_tokens', 'Nullable(UInt64)')
{%- endmacro %}

{# One row a key with all its prices as one array, so that a join finds at most one row and copies no call. #}
{% macro price_lists(condition) %}
    select
        workspace_id as list_workspace_id,
        provider as list_provider,
        price_model as list_price_model,
        arraySort(
            price -> (price.valid_from, price.daily_from_s, price.prompt_tokens_from, price.price_version),
            groupArray(cast(
                (
                    service_tier, is_override, valid_from, valid_to, daily_from_s, daily_to_s, prompt_tokens_from, prompt_tokens_to,
                    input_usd_per_token, cache_read_usd_per_token, cache_write_usd_per_token,
                    cache_write_1h_usd_per_token, output_usd_per_token, usd_per_request, price_version
                ),
                $$Tuple(
                    service_tier String,
                    is_override Bool,
                    valid_from DateTime('UTC'),
                    valid_to DateTime('UTC'),
                    daily_from_s UInt32,
                    daily_to_s UInt32,
                    prompt_tokens_from UInt64,
                    prompt_tokens_to UInt64,
                    input Nullable(Decimal(38, 12)),
                    cache_read Nullable(Decimal(38, 12)),
                    cache_write Nullable(Decimal(38, 12)),
                    cache_write_1h Nullable(Decimal(38, 12)),
                    output Nullable(Decimal(38, 12)),
                    request Nullable(Decimal(38, 12)),
                    price_version String
                )$$
            ))
        ) as prices
    from {{ ref('int_model_prices') }}
    where {{ condition }}
    group by
        workspace_id,
        provider,
        price_model
{% endmacro %}

{#
    The rows of `events` with canonical names and money. Columns added: provider, model, price_provider, price_model,
    service_tier, cost_usd, cost_source, price_version, the parts (input, cache_read, cache_write, output, unsplit; they
    sum to cost_usd), catalogue_cost_usd for comparison with what was reported, uncached_input_tokens, unpriced_reason.
    One row a row of `events`, which has the columns of stg_agent__events. Only an llm_call is priced here; any other
    event has the cost it reports, or none.
#}
{% macro price_events(events) %}
    with

    names as (
        select
            reported_provider as pair_provider,
            reported_model as pair_model,
            provider as known_provider,
            model as known_model,
            price_provider as known_price_provider,
            price_model as known_price_model
        from {{ ref('int_model_names') }}
    ),

    catalogue_prices as (
        {{ price_lists('not is_override') }}
    ),

    own_prices as (
        {{ price_lists("is_override and workspace_id != ''") }}
    ),

    shared_prices as (
        {{ price_lists("is_override and workspace_id = ''") }}
    ),

    named as (
        select
            events.*,
            toLowCardinality(coalesce(toString(names.known_provider), toString(events.reported_provider))) as provider,
            toLowCardinality(coalesce(toString(names.known_model), toString(events.reported_model))) as model,
            toLowCardinality(coalesce(toString(names.known_price_provider), '')) as price_provider,
            toLowCardinality(coalesce(toString(names.known_price_model), '')) as price_model,
            toLowCardinality({{ service_tier('events.context') }}) as service_tier,
            events.event_type = 'llm_call' as is_call
        from {{ events }} as events
        left any join names
            on
                events.reported_provider = names.pair_provider
                and events.reported_model = names.pair_model
    ),

    -- Most specific first: the workspace's own prices, those of everybody, the catalogue.
    with_prices as (
        select
            named.*,
            arrayConcat(own_prices.prices, shared_prices.prices, catalogue_prices.prices) as prices
        from named
        left any join own_prices
            on
                named.workspace_id = own_prices.list_workspace_id
                and named.provider = own_prices.list_provider
                and named.price_model = own_prices.list_price_model
        left any join shared_prices
            on
                named.provider = shared_prices.list_provider
                and named.price_model = shared_prices.list_price_model
        left any join catalogue_prices
            on
                named.price_provider = catalogue_prices.list_provider
                and named.price_model = catalogue_prices.list_price_model
    ),

    -- In force at the moment of the call, for the whole of its prompt.
    with_prices_in_force as (
        select
            * except (prices),
            toUInt32(toInt64(occurred_at) % 86400) as second_of_day,
            ifNull(input_tokens, 0) as prompt_tokens,
            arrayFilter(
                price ->
                    is_call
                    and price.valid_from <= occurred_at
                    and occurred_at < price.valid_to
                    and price.daily_from_s <= second_of_day
                    and second_of_day < price.daily_to_s
                    and price.prompt_tokens_from <= prompt_tokens
                    and prompt_tokens < price.prompt_tokens_to,
                prices
            ) as prices_in_force
        from with_prices
    ),

    -- What is not sold in the call's tier costs as standard does. A provider that serves another's models has only the
    -- other's standard prices.
    with_price as (
        select
            * except (prices_in_force, second_of_day, prompt_tokens),
            arrayFirst(
                price ->
                    price.service_tier in (service_tier, '*')
                    and (price.is_override or price.service_tier = 'standard' or provider = price_provider),
                prices_in_force
            ) as price_of_tier,
            if(
                price_of_tier.price_version != '',
                price_of_tier,
                arrayFirst(price -> price.service_tier in ('standard', '*'), prices_in_force)
            ) as price
        from with_prices_in_force
    ),

    -- Cached tokens are part of the input and leave it before the input price is put on the rest.
    with_parts as (
        select
            * except (price, price_of_tier),
            price.price_version as catalogue_price_version,
            {{ cache_write_1h_tokens('context') }} as cache_write_1h_tokens,
            toInt64(input_tokens) - toInt64(ifNull(cache_read_tokens, 0))
            - toInt64(ifNull(cache_write_tokens, 0)) as uncached_input_tokens,
            toInt64(ifNull(cache_write_tokens, 0)) - toInt64(ifNull(cache_write_1h_tokens, 0)) as cache_write_5m_tokens,
            ifNull(uncached_input_tokens < 0, false) or cache_write_5m_tokens < 0 as is_remainder_negative,
            {{ usd_of('uncached_input_tokens', ['price.input']) }} as catalogue_input_usd,
            {{ usd_of('ifNull(cache_read_tokens, 0)', ['price.cache_read', 'price.input']) }}
                as catalogue_cache_read_usd,
            {{ usd_of('cache_write_5m_tokens', ['price.cache_write', 'price.input']) }}
            + {{ usd_of(
                'ifNull(cache_write_1h_tokens, 0)', ['price.cache_write_1h', 'price.cache_write', 'price.input']
            ) }} as catalogue_cache_write_usd,
            {{ usd_of('output_tokens', ['price.output']) }} as catalogue_output_usd,
            ifNull(price.request, toDecimal128(0, 12)) as catalogue_request_usd,
            if(
                price.price_version = '' or is_remainder_negative,
                null,
                catalogue_input_usd + catalogue_cache_read_usd + catalogue_cache_write_usd + catalogue_output_usd
                + catalogue_request_usd
            ) as catalogue_cost_usd,
            {{ usd_of('input_tokens', ['toDecimal128(unit_cost_input_usd, 12)']) }} as unit_input_usd,
            {{ usd_of('output_tokens', ['toDecimal128(unit_cost_output_usd, 12)']) }} as unit_output_usd,
            if(
                is_call and unit_cost_input_usd is not null and unit_cost_output_usd is not null,
                unit_input_usd + unit_output_usd,
                null
            ) as unit_cost_usd
        from with_price
    ),

    with_source as (
        select
            *,
            multiIf(
                reported_cost_usd is not null, 'reported',
                not is_call, '',
                unit_cost_usd is not null, 'unit_cost',
                catalogue_cost_usd is not null, 'catalogue',
                'unpriced'
            ) as source_of_cost
        from with_parts
    )

    -- A producer that says what the whole cost does not say what its parts cost: that is unsplit.
    select
        * except (
            is_call, source_of_cost, catalogue_price_version, cache_write_1h_tokens, cache_write_5m_tokens,
            is_remainder_negative, catalogue_input_usd, catalogue_cache_read_usd, catalogue_cache_write_usd,
            catalogue_output_usd, catalogue_request_usd, unit_input_usd, unit_output_usd, unit_cost_usd
        ),
        {{ by_source('toDecimal128(reported_cost_usd, 12)', 'unit_cost_usd', 'catalogue_cost_usd') }} as cost_usd,
        toLowCardinality(source_of_cost) as cost_source,
        toLowCardinality(if(source_of_cost = 'catalogue', catalogue_price_version, '')) as price_version,
        {{ by_source('toDecimal128(0, 12)', 'unit_input_usd', 'catalogue_input_usd') }} as input_cost_usd,
        {{ by_source('toDecimal128(0, 12)', 'toDecimal128(0, 12)', 'catalogue_cache_read_usd') }}
            as cache_read_cost_usd,
        {{ by_source('toDecimal128(0, 12)', 'toDecimal128(0, 12)', 'catalogue_cache_write_usd') }}
            as cache_write_cost_usd,
        {{ by_source('toDecimal128(0, 12)', 'unit_output_usd', 'catalogue_output_usd') }} as output_cost_usd,
        {{ by_source('toDecimal128(reported_cost_usd, 12)', 'toDecimal128(0, 12)', 'catalogue_request_usd') }}
            as unsplit_cost_usd,
        toLowCardinality(multiIf(
            source_of_cost != 'unpriced', '',
            is_remainder_negative, 'negative_remainder',
            model = '', 'no_model',
            catalogue_price_version = '', 'no_price',
            input_tokens is null or output_tokens is null, 'no_tokens',
            'no_rate'
        )) as unpriced_reason
    from with_source
{% endmacro %}

{#
    Tokens at the first rate there is. No tokens cost nothing at any rate, and any tokens nothing at a rate of zero; tokens
    that were not said, or that have no rate, have no cost.
#}
{% macro usd_of(tokens, rates) -%}
    multiIf(
        coalesce({{ rates | join(', ') }}) = 0, toDecimal128(0, 12),
        {{ tokens }} = 0, toDecimal128(0, 12),
        {{ tokens }} is null and coalesce({{ rates | join(', ') }}) is null, toDecimal128(0, 12),
        toInt64({{ tokens }}) * coalesce({{ rates | join(', ') }})
    )
{%- endmacro %}

{% macro by_source(reported, unit_cost, catalogue) -%}
    multiIf(
        source_of_cost = 'reported', {{ reported }},
        source_of_cost = 'unit_cost', {{ unit_cost }},
        source_of_cost = 'catalogue', {{ catalogue }},
        null
    )
{%- endmacro %}

{# Exact: a rate a million tokens has at most 6 decimals, so a rate a token has at most 12. #}
{% macro usd_per_token(rate) -%}
    cast({{ rate }} as Nullable(Decimal(38, 12))) / 1000000
{%- endmacro %}
