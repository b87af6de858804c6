{#
    The rules of spending that several models share: what counts as an anomaly, what a middle is, how sums of money are
    typed. Policies have names here; docs of the models say them in words.
#}

{# Money to be added: a call without a price adds nothing, and is counted apart. #}
{% macro usd(column) -%}
    cast(coalesce({{ column }}, 0) as Decimal(38, 12))
{%- endmacro %}

{# The middle of an array of Decimal, exactly; the mean of the two middle ones of an even number; 0 of none. #}
{% macro median_usd(amounts) -%}
    (
        arraySort({{ amounts }})[intDiv(length({{ amounts }}) + 1, 2)]
        + arraySort({{ amounts }})[intDiv(length({{ amounts }}), 2) + 1]
    ) / 2
{%- endmacro %}

{#
    anomaly_weeks      how many of the same weekdays before a day are its baseline
    anomaly_min_days   with fewer of them nothing is judged: a stranger's first month has no "usual"
    anomaly_z          deviations from the baseline's mean that are called an anomaly
    anomaly_min_usd    and at least so many dollars beside it: nobody is called for cents
    anomaly_floor      the deviation is taken as this share of the mean at least: where every week cost the same to the
                       cent, the first cent more would be infinitely unusual
    pace_days          how far back a forecast looks for what a weekday costs
    unpriced_share     of a workspace's model calls of today and yesterday that may go without a price
    unpriced_min_calls and as many of them before somebody is told
    burst_factor       times what an agent usually costs at this hour that it may reach: a busy hour is two to three times
                       an ordinary one, a loop is fifty times
    burst_over_peak    and times what one quarter of an hour in a hundred of the last week cost at least: an agent of few,
                       dear runs is not in a loop when three of them fall together
    burst_min_usd      USD a minute below which no burst is called one
    burst_min_calls    model calls in the quarter of an hour below which none is: a loop calls
#}
{% macro cost_policy(name) -%}
    {{- {
        'anomaly_weeks': 8,
        'anomaly_min_days': 4,
        'anomaly_z': 3,
        'anomaly_min_usd': 1,
        'anomaly_floor': 0.05,
        'pace_days': 56,
        'unpriced_share': 0.05,
        'unpriced_min_calls': 20,
        'burst_factor': 5,
        'burst_over_peak': 2,
        'burst_min_usd': 0.1,
        'burst_min_calls': 20,
    }[name] -}}
{%- endmacro %}

{# Money as a share of money. Float, since it is a ratio; NULL where there is no whole to be a part of. #}
{% macro money_share(part, whole) -%}
    toFloat64({{ part }}) / nullIf(toFloat64({{ whole }}), 0)
{%- endmacro %}
