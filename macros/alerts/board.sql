{#
    materialized='board': a table that the alert models write, each its own partition (rule_id); its own SQL is never run.
    Boards are made before the first node of a build (make_boards), since each alert needs them. The node of a board
    comes after all alerts and takes away what rules left behind that are no models any more.
#}
{% materialization board, adapter='clickhouse' %}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set rules = [] -%}
    {%- for name in alert_models() -%}{%- do rules.append(name[6:]) -%}{%- endfor -%}
    {%- set gone = [] -%}
    {%- for row in run_query('select distinct rule_id from ' ~ target_relation).rows if row[0] not in rules -%}
        {%- do gone.append("drop partition '" ~ row[0] ~ "'") -%}
    {%- endfor -%}

    {{ run_hooks(pre_hooks) }}
    {% if gone %}
        {% do run_statement(
            'drop_gone', 'alter table ' ~ target_relation ~ on_cluster_words() ~ ' ' ~ gone | join(', ')
        ) %}
    {% endif %}
    {% call noop_statement('main', rules | length ~ ' rules', 'OK', rules | length) %}{% endcall %}
    {% do apply_grants(target_relation, config.get('grants'), should_revoke=should_revoke(target_relation, false)) %}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{# The relation of a board by its model's name; alerts do not ref the boards, which come after them. #}
{% macro board(name) %}
    {% for node in graph.nodes.values() if node.resource_type == 'model' and node.name == name %}
        {{ return(api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias, type='table')) }}
    {% endfor %}
    {{ return(none) }}
{% endmacro %}

{#
    The boards as their YAML describes them, where an alert or a board is about to be built. One of other columns is made
    anew, empty: its rules then read as not judged until they are.
#}
{% macro make_boards() %}
    {% set wanted = [] %}
    {% for unique_id in selected_resources if graph.nodes.get(unique_id, {}).get('config', {}).get('materialized') in ('alert', 'board') %}
        {% do wanted.append(unique_id) %}
    {% endfor %}
    {% for node in graph.nodes.values() if wanted and node.config.materialized == 'board' %}
        {% set described, columns = [], [] %}
        {% for column in node.columns.values() %}
            {% do described.append(column.name ~ ' ' ~ column.data_type) %}
            {% do columns.append(column.name ~ ' ' ~ column.data_type ~ ' comment ' ~ text_literal(column.description)) %}
        {% endfor %}
        {% set found = run_query(
            "select engine like '%MergeTree', (select arrayStringConcat(groupArray(concat(name, ' ', type)), '|') from "
            ~ "(select name, type from system.columns where database = '" ~ node.schema ~ "' and table = '" ~ node.alias
            ~ "' order by position)) from system.tables where database = '" ~ node.schema ~ "' and name = '" ~ node.alias ~ "'"
        ).rows %}
        {% if found and (not found[0][0] or found[0][1] != described | join('|')) %}
            {% do run_query(
                'drop ' ~ ('table ' if found[0][0] else 'view ') ~ node.relation_name ~ on_cluster_words() ~ ' sync'
            ) %}
        {% endif %}
        {% do run_query(
            'create table if not exists ' ~ node.relation_name ~ on_cluster_words() ~ ' (' ~ columns | join(', ')
            ~ ') engine = ' ~ kept_engine('MergeTree') ~ ' partition by rule_id order by (' ~ node.config.order_by | join(', ')
            ~ ')' ~ (' ttl ' ~ node.config.ttl if node.config.get('ttl') else '') ~ ' comment ' ~ text_literal(node.description)
        ) %}
    {% endfor %}
{% endmacro %}

{% macro text_literal(text) -%}
    '{{ text | trim | replace("\\", "\\\\") | replace("'", "\\'") }}'
{%- endmacro %}
