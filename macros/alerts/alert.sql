{#
    materialized='alert': a rule, judged by this build. Its rows take the place of its last ones in alerts_current by one
    REPLACE PARTITION, so a reader sees what held before or what holds now, and no other rule is touched. Then one row in
    alert_evaluations says that it was judged, from when and up to where. A rule that failed, or was skipped because what
    it reads failed, changes neither: what it said last stands, with the time at which it said so.

    A reader who wants to know what is over reads alert_evaluations first: a rule judged since then, and without the row,
    does not hold any more. The relation by the rule's own name is a view of its rows.
#}
{% materialization alert, adapter='clickhouse' %}
    {%- set rule_id = model.name[6:] -%}
    {%- set own_rows = this.incorporate(type='view') -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set staged = this.incorporate(type='table', path={'identifier': this.identifier ~ '__next'}) -%}
    {%- set alerts, evaluations = board('alerts_current'), board('alert_evaluations') -%}
    {%- set columns = model.columns.keys() | join(', ') -%}
    {%- set rule_version = local_md5(sql) -%}
    {%- set now = evaluation_now(rule_id, evaluations) -%}

    {{ run_hooks(pre_hooks) }}
    {# Asking the engine for the columns of so many views costs more than judging the rule, so only of a rule that changed. #}
    {% if now.rule_version != rule_version %}{% do get_assert_columns_equivalent(sql) %}{% endif %}
    {% do run_statement(
        'create_next', 'create or replace table ' ~ staged ~ on_cluster_words() ~ ' as ' ~ alerts
    ) %}
    {% call statement('main') %}
        insert into {{ staged }} ({{ columns }})
        select {{ columns }}
        from (
        {{ sql }}
        )
        {{ adapter.get_model_query_settings(model) }}
    {% endcall %}
    {% do run_statement('replace_alerts', replace_partitions(alerts, staged, {'partitions': [rule_id]}, by='value')) %}
    {% call statement('record_evaluation') %}
        insert into {{ evaluations }} (rule_id, evaluated_at, as_of, alerts, rule_version, invocation_id)
        select
            '{{ rule_id }}',
            fromUnixTimestamp64Milli({{ now.ms }}, 'UTC'),
            toDateTime({{ now.as_of_s }}, 'UTC'),
            count(),
            '{{ rule_version }}',
            '{{ invocation_id }}'
        from {{ staged }}
    {% endcall %}
    {% do adapter.drop_relation(staged) %}
    {% if existing is none or not existing.is_view or now.rule_version != rule_version %}
        {% if existing is not none and not existing.is_view %}{% do adapter.drop_relation(existing) %}{% endif %}
        {% do run_statement(
            'show_own_rows',
            'create or replace view ' ~ own_rows ~ on_cluster_words() ~ ' as select ' ~ columns ~ ' from ' ~ alerts
            ~ " where rule_id = '" ~ rule_id ~ "'"
        ) %}
        {% do persist_docs(own_rows, model) %}
    {% endif %}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [own_rows]}) }}
{% endmaterialization %}

{#
    When the evaluation begins by the engine's clock, up to where it can judge, and the SQL by which it was judged last:
    {ms, as_of_s, rule_version}. Asked for before the rule is read, so that it never claims more than it saw. Never before
    the last one: after the engine's clock was set back, the newest evaluation is the newest all the same.
#}
{% macro evaluation_now(rule_id, evaluations) %}
    {% set clock = namespace(as_of='0') %}
    {% for node in graph.nodes.values() if node.resource_type == 'model' and node.name == 'slo_clock' %}
        {% if adapter.get_relation(node.database, node.schema, node.alias) is not none %}
            {% set clock.as_of = '(select toUnixTimestamp(max(as_of)) from ' ~ node.relation_name ~ ')' %}
        {% endif %}
    {% endfor %}
    {% set now = "toDateTime64('" ~ var('now') ~ "', 3, 'UTC')" if var('now') else 'now64(3)' %}
    {% set found = run_query(
        'select greatest(toUnixTimestamp64Milli(' ~ now ~ '), toUnixTimestamp64Milli(max(evaluated_at)) + 1), '
        ~ clock.as_of ~ ', argMax(rule_version, evaluated_at) from '
        ~ evaluations ~ " where rule_id = '" ~ rule_id ~ "'"
    ).rows[0] %}
    {{ return({'ms': found[0] | int, 'as_of_s': found[1] | int, 'rule_version': found[2]}) }}
{% endmacro %}
