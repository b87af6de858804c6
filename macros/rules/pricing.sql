{#
    The rows of `events` with canonical names and money. Columns added: provider, model, cost_usd, cost_source,
    price_version, the parts (input, cache_read, cache_write, output, unsplit; they sum to cost_usd) and
    catalogue_cost_usd, for comparison with what was reported.
#}
{% macro price_events(events) %}
    select
        *,
        reported_provider as provider,
        reported_model as model,
        cast(null as Nullable(Decimal(38, 12))) as catalogue_cost_usd,
        cast(reported_cost_usd as Nullable(Decimal(38, 12))) as cost_usd,
        toLowCardinality(if(reported_cost_usd is not null, 'reported', if(event_type = 'llm_call', 'unpriced', ''))) as cost_source,
        toLowCardinality('') as price_version,
        cast(null as Nullable(Decimal(38, 12))) as input_cost_usd,
        cast(null as Nullable(Decimal(38, 12))) as cache_read_cost_usd,
        cast(null as Nullable(Decimal(38, 12))) as cache_write_cost_usd,
        cast(null as Nullable(Decimal(38, 12))) as output_cost_usd,
        cast(reported_cost_usd as Nullable(Decimal(38, 12))) as unsplit_cost_usd
    from {{ events }}
{% endmacro %}
