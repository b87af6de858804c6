{% set alerts = alert_models() %}
{% for alert in alerts %}
-- depends_on: {{ ref(alert) if not execute else alert }}
{% endfor %}
{% do check_alert_contracts() %}

-- merge() finds its views when it is read and leaves out what is not there: an alert that was never
-- built says nothing, and the view of a deleted one is not in the list any more.
select * from merge('{{ this.schema }}', '^({{ alerts | join("|") }})$')
