{#
    The ledger of costs that were restated. Called before a piece of int_agent_events is replaced: `old` holds what the
    reports said until now, `new` what they will say. A call counts where it is in both, says the same, and costs another
    sum: then prices, names or the rule changed, and nothing else can have. What arrived late, was corrected, or left for
    another hour is not the price's doing and is not in it.

    An increment in which no price or name changed has nothing to compare and skips it.
#}
{% macro record_restated_costs(old, new, slice, plan) %}
    {% set ledger = ref('int_restated_costs') %}
    {% set is_full_refresh = new.identifier != old.identifier ~ '__slice' %}
    {% if not is_full_refresh %}
        {% set changes = run_query(
            'select count() from ' ~ ref('int_price_changes') ~ ' where not is_first_seen and noticed_at >= '
            ~ 'fromUnixTimestamp64Milli(' ~ plan.arrived_since ~ ')'
        ) %}
        {% if changes.rows[0][0] | int == 0 %}{{ return('') }}{% endif %}
    {% endif %}
    {% do run_statement(
        'record_restated_costs', restated_costs_sql(ledger, old, new, slice, plan.built_from, is_full_refresh)
    ) %}
{% endmacro %}

{% macro restated_costs_sql(ledger, old, new, slice, built_from, is_full_refresh) %}
    {% set said = [
        'occurred_at', 'reported_provider', 'reported_model', 'tuple(input_tokens)', 'tuple(output_tokens)',
        'tuple(cache_read_tokens)', 'tuple(cache_write_tokens)', 'tuple(reported_cost_usd)', 'tuple(unit_cost_input_usd)',
        'tuple(unit_cost_output_usd)', 'context'
    ] | join(', ') %}
    insert into {{ ledger }}
    (
        occurred_hour, workspace_id, provider, model, old_cost_source, new_cost_source, old_price_version,
        new_price_version, is_renamed, built_from, llm_calls, old_cost_usd, new_cost_usd, invocation_id, is_full_refresh,
        restated_at
    )
    with
        {% for name, relation in [('old_calls', old), ('new_calls', new)] %}
        {{ name }} as (
            select
                workspace_id, event_id, occurred_hour, provider, model, cost_usd, cost_source, price_version,
                sipHash128({{ said }}) as said
            from {{ relation }}
            where _partition_id in ('{{ slice.partitions | join("', '") }}') and event_type = 'llm_call'
        ){{ ',' if not loop.last }}
        {% endfor %}
    select
        new_calls.occurred_hour,
        new_calls.workspace_id,
        new_calls.provider,
        new_calls.model,
        old_calls.cost_source,
        new_calls.cost_source,
        old_calls.price_version,
        new_calls.price_version,
        max(old_calls.provider != new_calls.provider or old_calls.model != new_calls.model),
        {{ built_from }},
        count(),
        sum(coalesce(old_calls.cost_usd, 0)),
        sum(coalesce(new_calls.cost_usd, 0)),
        '{{ invocation_id }}',
        {{ is_full_refresh }},
        now64(3, 'UTC')
    from old_calls
    inner join new_calls
        on
            old_calls.workspace_id = new_calls.workspace_id
            and old_calls.event_id = new_calls.event_id
    where old_calls.said = new_calls.said and not (old_calls.cost_usd <=> new_calls.cost_usd)
    group by 1, 2, 3, 4, 5, 6, 7, 8
{% endmacro %}
