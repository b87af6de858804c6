{#
    Windows of burn and the pairs of windows that alert, as in the SRE workbook and Sloth: one table, from which the
    columns, the factors and the rules are made.
#}

{# Name of each window and its length in seconds, shortest first. #}
{% macro burn_windows() %}
    {{ return({
        '5m': 300, '30m': 1800, '1h': 3600, '2h': 7200, '6h': 21600, '1d': 86400, '3d': 259200,
    }) }}
{% endmacro %}

{# Windows in which a pair needs enough traffic before its rate is believed: the long ones. #}
{% macro long_windows() %}
    {% set names = [] %}
    {% for pair in burn_pairs() %}{% do names.append(pair.long) %}{% endfor %}
    {{ return(names) }}
{% endmacro %}

{#
    A pair fires where both its windows burn above the factor. The factor is not written down: it is the burn at which
    `budget_percent` of the budget is gone within the long window. For 30 days that makes 14.4, 6, 3 and 1.
#}
{% macro burn_pairs() %}
    {{ return([
        {'name': 'page_fast', 'severity': 'page', 'budget_percent': 2, 'long': '1h', 'short': '5m'},
        {'name': 'page_slow', 'severity': 'page', 'budget_percent': 5, 'long': '6h', 'short': '30m'},
        {'name': 'ticket_fast', 'severity': 'ticket', 'budget_percent': 10, 'long': '1d', 'short': '2h'},
        {'name': 'ticket_slow', 'severity': 'ticket', 'budget_percent': 10, 'long': '3d', 'short': '6h'},
    ]) }}
{% endmacro %}

{# Whole numbers divided once, so that a burn of exactly the factor is equal to it and not a bit above. #}
{% macro burn_factor(pair, window_days) -%}
    ({{ pair.budget_percent * 864 }} * {{ window_days }} / {{ burn_windows()[pair.long] }})
{%- endmacro %}

{#
    How many times faster than allowed the budget is spent: bad / valid over (1 - objective). Where nothing was valid, 0.
    An objective of 100 % allows nothing, so one bad event is a burn without bound: it is written as no_budget_burn(), a
    number beyond every factor, since a column with an infinity cannot be added up or sent as JSON.
    budget_millionths is (1 - objective) in millionths, a whole number, for the same reason as in burn_factor.
#}
{% macro burn_rate(bad, valid, budget_millionths='budget_millionths') -%}
    multiIf(
        {{ bad }} = 0 or {{ valid }} = 0, 0.0,
        {{ budget_millionths }} = 0, {{ no_budget_burn() }},
        toFloat64({{ bad }}) * 1000000 / greatest(toFloat64({{ valid }}) * {{ budget_millionths }}, 1)
    )
{%- endmacro %}

{# Events from which on the rate of a pair is believed: as many bad ones for every pair, so more for a lower factor. #}
{% macro enough_events(pair) -%}
    min_events * {{ burn_factor(burn_pairs()[0], 'window_days') }} / {{ burn_factor(pair, 'window_days') }}
{%- endmacro %}

{# What the bad events of the long window are held against: all there were, and where those are few, the usual number. #}
{% macro alarming_volume(pair) -%}
    greatest(
        toFloat64(valid_{{ pair.long }}),
        if(
            valid_{{ pair.long }} >= {{ pair.name }}_enough, 0.0,
            greatest(usual_valid_{{ pair.long }}, {{ pair.name }}_enough)
        )
    )
{%- endmacro %}

{# Both windows strictly above the factor, in 5 minutes that the watermark has passed. #}
{% macro fires(pair) -%}
    toBool(
        is_covered
        and alarming_burn_{{ pair.long }} > {{ pair.name }}_factor
        and burn_{{ pair.short }} > {{ pair.name }}_factor
    )
{%- endmacro %}

{% macro no_budget_burn() -%} 1000000000.0 {%- endmacro %}

{% macro budget_millionths(objective) -%}
    toUInt32(round((1 - toDecimal64({{ objective }}, 6)) * 1000000))
{%- endmacro %}

{#
    The sums slo_windows_5m needs of the past: name, and how many seconds before these 5 minutes each ends. Those of the
    windows and the compliance window come before those of past weeks.
#}
{% macro sums_to_look_up() %}
    {% set windows = burn_windows() %}
    {% set sums = {'now': 'toInt64(0)', 'window': '86400 * pairs.window_days'} %}
    {% do sums.update(windows) %}
    {% for week in [1, 2, 3, 4] %}
        {% do sums.update({'week_' ~ week: week * 604800}) %}
        {% for name in long_windows() %}
            {% do sums.update({'week_' ~ week ~ '_' ~ name: week * 604800 + windows[name]}) %}
        {% endfor %}
    {% endfor %}
    {{ return(sums) }}
{% endmacro %}

{# Mean of what was valid in the same window of those of the last four weeks that had anything; 0 where none had. #}
{% macro usual_volume(window) -%}
    {%- set weeks = [] -%}
    {%- for week in [1, 2, 3, 4] -%}
        {%- do weeks.append('valid_to_week_' ~ week ~ ' - valid_to_week_' ~ week ~ '_' ~ window) -%}
    {%- endfor -%}
    ifNotFinite(arrayAvg(arrayFilter(valid -> valid > 0, [{{ weeks | join(', ') }}])), 0)
{%- endmacro %}
