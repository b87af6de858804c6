{#
    materialized='appended': a table that only grows, by what arrived since its last build.

    meta.change_logs    the order of change it follows; the model's own name makes it a change log itself
    meta.reads_clock    true for the first of the chain: it builds up to the engine's clock, the others up to what they read

    Whatever an interrupted or overlapping build adds twice, the model must not mind: rows are a set (its engine replaces
    equal keys), or carry the change_id they came with. A full refresh keeps the rows: they say what happened. A column
    that is new in the contract is added, with its type's default in the rows before; one that is gone stays and is
    no longer written.
#}
{% materialization appended, adapter='clickhouse' %}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set ground = ground_of(model.unique_id) -%}
    {%- set change_log = model.config.meta.change_logs | first -%}
    {%- set last = last_build(ground, model.name, change_log) if existing is not none
        else {'built_to': 0, 'fingerprint': '', 'started_ms': 0} -%}
    {%- set to = [ground.now_ms, last.built_to + 1] | max if model.config.meta.get('reads_clock')
        else upstream_built_to(ground, model.unique_id, model.config.meta.get('follows', change_log)) -%}
    {%- set columns = local_md5(model.columns.keys() | join(',') ~ (config.get('projections', []) or '')) -%}
    {%- set plain_sql = without_marks(sql) -%}

    {{ run_hooks(pre_hooks) }}
    {% if existing is none %}
        {% call statement('create_appended') %}
            create table {{ target_relation }} {{ on_cluster_words() }}
            {{ get_assert_columns_equivalent(plain_sql) }}
            {{ get_table_columns_and_constraints() }}
            engine = {{ kept_engine(config.get('engine', 'MergeTree'), config.get('engine_arguments', '')) }}
            {{ order_cols(label='order by') }}
            {{ partition_cols(label='partition by') }}
            {{ ttl_config(label='ttl') }}
            {{ adapter.get_model_settings(model, 'MergeTree') }}
        {% endcall %}
        {% do add_projections(target_relation) %}
    {% elif last.fingerprint != columns %}
        {% do add_new_columns(target_relation) %}
        {% do add_projections(target_relation) %}
    {% endif %}
    {% call statement('main') %}
        insert into {{ target_relation }} ({{ model.columns.keys() | join(', ') }})
        select {{ model.columns.keys() | join(', ') }}
        from (
        {{ put_arrivals(sql, last.built_to, to, arrived_since(last)) }}
        )
        {{ adapter.get_model_query_settings(model) }}
    {% endcall %}
    {% do record_build({change_log: to}, 'increment' if last.built_to else 'full', 0, columns, ground.began) %}
    {% if existing is none %}{% do persist_docs(target_relation, model) %}{% endif %}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{% macro add_new_columns(relation) %}
    {% set present = adapter.get_columns_in_relation(relation) | map(attribute='name') | list %}
    {% for column in model.columns.values() if column.name not in present %}
        {% do run_statement(
            'add_column',
            'alter table ' ~ relation ~ on_cluster_words() ~ ' add column ' ~ adapter.quote(column.name) ~ ' '
            ~ column.data_type
        ) %}
    {% endfor %}
{% endmacro %}

{# The same rows in another order, kept by the engine. A table that has none yet gets it for what is written from now on. #}
{% macro add_projections(relation) %}
    {% set mode = config.get('settings', {}).get('deduplicate_merge_projection_mode') %}
    {% if mode %}
        {% do run_statement(
            'set_projection_mode', 'alter table ' ~ relation ~ on_cluster_words()
            ~ " modify setting deduplicate_merge_projection_mode = '" ~ mode ~ "'"
        ) %}
    {% endif %}
    {% for projection in config.get('projections', []) %}
        {% do run_statement(
            'add_projection', 'alter table ' ~ relation ~ on_cluster_words() ~ ' add projection if not exists '
            ~ projection.name ~ ' (' ~ projection.query ~ ')'
        ) %}
    {% endfor %}
{% endmacro %}
