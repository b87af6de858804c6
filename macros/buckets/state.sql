{#
    What each build remembers: how far in the order of change a model is built. One row a build and change log, in
    ops.model_builds; the newest counts. It is written last, so an interrupted build is simply done again.
#}

{% macro model_builds() -%}
    {{ ops_database() }}.model_builds
{%- endmacro %}

{% macro make_ground() %}
    {% do run_query('create database if not exists ' ~ ops_database() ~ on_cluster_words()) %}
    {% set table %}
        create table if not exists {{ model_builds() }} {{ on_cluster_words() }}
        (
            model LowCardinality(String),
            change_log LowCardinality(String),
            built_to UInt64 comment 'changes up to this id are in; ids are milliseconds of the engine''s clock',
            mode LowCardinality(String) comment 'full, increment, or none when nothing had changed',
            buckets UInt32,
            fingerprint String comment 'of the SQL and of the small tables it was built with',
            invocation_id String,
            started_at DateTime64(3, 'UTC'),
            built_at DateTime64(3, 'UTC') default now64(3)
        )
        engine = {{ kept_engine('MergeTree') }}
        order by (model, change_log, built_at)
        ttl toDateTime(built_at) + interval 400 day
    {% endset %}
    {% do run_query(table) %}
{% endmacro %}

{% macro on_cluster_words() -%}
    {%- if adapter.get_clickhouse_cluster_name() %} on cluster {{ adapter.get_clickhouse_cluster_name() }}{% endif -%}
{%- endmacro %}

{# The one place that knows how a table is kept: plainly, or replicated where there is a cluster. #}
{% macro kept_engine(engine, arguments='') -%}
    {{ 'Replicated' if adapter.get_clickhouse_cluster_name() }}{{ engine }}({{ arguments }})
{%- endmacro %}

{# The last build of a model against a change log: {built_to, fingerprint}; built_to is 0 where there was none. #}
{% macro last_build(model_name, change_log) %}
    {% set found = run_query(
        "select built_to, fingerprint from " ~ model_builds() ~ " where model = '" ~ model_name
        ~ "' and change_log = '" ~ change_log ~ "' order by built_at desc limit 1"
    ) %}
    {% if found.rows | length == 0 %}
        {{ return({'built_to': 0, 'fingerprint': ''}) }}
    {% endif %}
    {{ return({'built_to': found.rows[0][0] | int, 'fingerprint': found.rows[0][1]}) }}
{% endmacro %}

{% macro record_build(change_log, built_to, mode, buckets, fingerprint, started_at) %}
    {% do run_query(
        "insert into " ~ model_builds()
        ~ " (model, change_log, built_to, mode, buckets, fingerprint, invocation_id, started_at) values ('"
        ~ model.name ~ "', '" ~ change_log ~ "', " ~ built_to ~ ", '" ~ mode ~ "', " ~ buckets ~ ", '" ~ fingerprint
        ~ "', '" ~ invocation_id ~ "', '" ~ started_at ~ "')"
    ) %}
{% endmacro %}

{#
    How far a model may be built: as far as everything it reads is. Views are looked through; a table that does not
    follow the change log says nothing about it.
#}
{% macro upstream_built_to(node_id, change_log) %}
    {% set bounds = [] %}
    {% for upstream_id in graph.nodes[node_id].depends_on.nodes if upstream_id in graph.nodes %}
        {% set upstream = graph.nodes[upstream_id] %}
        {% if upstream.resource_type == 'model' %}
            {% if upstream.name == change_log or change_log in upstream.config.meta.get('change_logs', []) %}
                {% do bounds.append(last_build(upstream.name, change_log).built_to) %}
            {% elif upstream.config.materialized in ['view', 'ephemeral'] %}
                {% set through = upstream_built_to(upstream_id, change_log) %}
                {% if through is not none %}{% do bounds.append(through) %}{% endif %}
            {% endif %}
        {% endif %}
    {% endfor %}
    {{ return(bounds | min if bounds else none) }}
{% endmacro %}

{#
    What the rows of a model depend on besides the events: its SQL, the small tables named in meta.rebuilt_by, and the same
    of everything it reads. Another fingerprint means that the past changes too, so the model is rebuilt whole.
#}
{% macro build_fingerprint(sql) %}
    {% set hashes = [local_md5(sql)] %}
    {% for name in model.config.meta.get('rebuilt_by', []) %}
        {% set rows = run_query('select toString(sum(cityHash64(toString(tuple(*))))) from ' ~ ref(name)) %}
        {% do hashes.append(rows.rows[0][0]) %}
    {% endfor %}
    {% do hashes.extend(upstream_fingerprints(model.unique_id)) %}
    {{ return(local_md5(hashes | join(','))) }}
{% endmacro %}

{% macro upstream_fingerprints(node_id) %}
    {% set hashes = [] %}
    {% for upstream_id in graph.nodes[node_id].depends_on.nodes | sort if upstream_id in graph.nodes %}
        {% set upstream = graph.nodes[upstream_id] %}
        {% if upstream.config.materialized == 'bucketed' %}
            {% do hashes.append(last_build(upstream.name, upstream.config.meta.change_logs | first).fingerprint) %}
        {% elif upstream.config.materialized in ('view', 'ephemeral') %}
            {% do hashes.append(upstream.checksum.checksum) %}
            {% do hashes.extend(upstream_fingerprints(upstream_id)) %}
        {% endif %}
    {% endfor %}
    {{ return(hashes) }}
{% endmacro %}

{% macro engine_time() %}
    {% set now = run_query("select toUnixTimestamp64Milli(now64(3)), toString(now64(3, 'UTC'))").rows[0] %}
    {{ return({'ms': now[0] | int, 'text': now[1]}) }}
{% endmacro %}
