{{
    config(
        materialized='board',
        order_by=['evaluated_at'],
        ttl='toDateTime(evaluated_at) + interval 30 day',
    )
}}
{% for alert in alert_models() %}
-- depends_on: {{ ref(alert) if not execute else alert }}
{% endfor %}

-- Each alert said so here when it was built.
select * from {{ this }}
