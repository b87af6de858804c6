{#
    twin_start_s     two reports of one call begin at most so many seconds apart, unless one is nested in the other: an outer
                     one counts the retries and waits of the inner
    id_chars         a response's id with so many characters is the provider's own; shorter ones (local servers count from
                     0 to 999) are only believed where the reports overlap in time
    id_group         reports of one response id above which it is no id but a constant
    twin_hops        reports of one call are found over so many steps from one to the next
    trace_depth      parents that are followed upwards
    token_limit      a count above is no count
#}
{% macro otel_policy(name) -%}
    {{- {
        'twin_start_s': 300,
        'id_chars': 16,
        'id_group': 32,
        'twin_hops': 4,
        'trace_depth': 64,
        'token_limit': 1000000000000,
    }[name] -}}
{%- endmacro %}
