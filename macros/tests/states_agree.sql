{#
    A failing row is a state of quantiles that lies more than 1 % from the exact quantile beside it: the grid is too
    coarse, or the state counts other values than the column. `quantiles`: {place in state_levels, from 1, as
    text, since dbt cannot keep other keys between runs: column}.
#}
{% test states_agree(model, state, quantiles) %}
    with

    finalized as (
        select
            *,
            finalizeAggregation({{ state }}) as from_state
        from {{ model }}
    )

    select * except (latency_ms_state, time_to_first_token_ms_state) from finalized
    where
        {% for place, exact in quantiles.items() %}
        not if(
            {{ exact }} is null,
            isNaN(from_state[{{ place }}]),
            abs(from_state[{{ place }}] - {{ exact }}) <= 0.01 * {{ exact }}
        ){{ ' or' if not loop.last }}
        {% endfor %}
    limit 100
{% endtest %}
