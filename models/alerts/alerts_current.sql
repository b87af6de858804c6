{{ config(materialized='board', order_by=['dedup_key']) }}
{% for alert in alert_models() %}
-- depends_on: {{ ref(alert) if not execute else alert }}
{% endfor %}
{% do check_alert_contracts() %}

-- Each alert put its rows here as it was built.
select * from {{ this }}
