{#
    What each build remembers: how far in the order of change a model is built. One row a build and change log, in
    ops.model_builds; the one that is built farthest counts, of several the newest: the engine's clock may be set back, the
    order of change never is. It is written last, so an interrupted build is simply done again.
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
    {% if execute and flags.WHICH in ('run', 'build') %}
        {% do make_boards() %}
        {% do remember_builds() %}
    {% endif %}
{% endmacro %}

{% macro on_cluster_words() -%}
    {%- if adapter.get_clickhouse_cluster_name() %} on cluster {{ adapter.get_clickhouse_cluster_name() }}{% endif -%}
{%- endmacro %}

{# The one place that knows how a table is kept: plainly, or replicated where there is a cluster. #}
{% macro kept_engine(engine, arguments='') -%}
    {{ 'Replicated' if adapter.get_clickhouse_cluster_name() }}{{ engine }}({{ arguments }})
{%- endmacro %}

{#
    What a build has to know before it begins: {began: this process's clock, now_ms: the engine's, where the model builds up
    to its clock, builds: the last build of this model and of all it reads by 'model/change log', rows: a hash of each small
    table named in meta.rebuilt_by}. Where the builds are remembered and nothing else is asked for, the engine is not asked.
#}
{% macro ground_of(node_id) %}
    {% set meta = graph.nodes[node_id].config.meta %}
    {% set known, asked = remembered('builds'), [] %}
    {% set ground = {
        'began': modules.datetime.datetime.now(modules.pytz.utc), 'now_ms': 0, 'builds': known or {}, 'rows': {}
    } %}
    {% if meta.get('reads_clock') %}
        {% do asked.append("select '' as model, '' as change_log, toUnixTimestamp64Milli(now64(3)) as built_to, '' as fingerprint, "
            ~ "0 as started_ms") %}
    {% endif %}
    {% for name in meta.get('rebuilt_by', []) %}
        {% do asked.append(
            "select '' as model, '" ~ name ~ "' as change_log, 0 as built_to, "
            ~ "toString(sum(cityHash64(toString(tuple(*))))) as fingerprint, 0 as started_ms from " ~ ref(name)
        ) %}
    {% endfor %}
    {% if known is none %}
        {% for name, change_log in followed_logs([graph.nodes[node_id]] + upstream_models(node_id)) %}
            {% do asked.append(newest_build(name, change_log)) %}
        {% endfor %}
    {% endif %}
    {% for row in (run_query(asked | join('\nunion all ')).rows if asked else []) %}
        {% if row[0] %}
            {% do ground.builds.update({row[0] ~ '/' ~ row[1]: build_of(row)}) %}
        {% elif row[1] %}
            {% do ground.rows.update({row[1]: row[3]}) %}
        {% else %}
            {% do ground.update({'now_ms': row[2] | int}) %}
        {% endif %}
    {% endfor %}
    {{ return(ground) }}
{% endmacro %}

{#
    The last builds of all that this run builds or reads, asked for once when it begins: some thirty models of the fast
    family would ask it every minute. The run adds its own as they end; nobody else builds what it has locked. What other
    families build meanwhile is not seen, so a model may be built less far than it could be, and is by the next build.
#}
{% macro remember_builds() %}
    {% set nodes = [] %}
    {% for unique_id in selected_resources if graph.nodes.get(unique_id, {}).get('resource_type') == 'model' %}
        {% do nodes.extend([graph.nodes[unique_id]] + upstream_models(unique_id)) %}
    {% endfor %}
    {% set builds, followed, named, older = {}, followed_logs(nodes), [], [] %}
    {% for name, change_log in followed %}{% do named.append("('" ~ name ~ "', '" ~ change_log ~ "')") %}{% endfor %}
    {% if named %}
        {# Bounded by two days of builds, however old the house is; what was built longer ago is looked up one by one. #}
        {% do put_builds(builds, 'select ' ~ build_columns() ~ ' from ' ~ model_builds()
            ~ ' where (model, change_log) in (' ~ named | join(', ') ~ ') and built_at > now64(3) - interval 2 day '
            ~ 'order by model, change_log, built_to desc, built_at desc limit 1 by model, change_log') %}
        {% for name, change_log in followed if name ~ '/' ~ change_log not in builds %}
            {% do older.append(newest_build(name, change_log)) %}
        {% endfor %}
        {% if older %}{% do put_builds(builds, older | join('\nunion all ')) %}{% endif %}
    {% endif %}
    {% do remember('builds', builds) %}
    {% do remember('clock_ms', run_query('select toUnixTimestamp64Milli(now64(3))').rows[0][0] | int) %}
{% endmacro %}

{% macro put_builds(builds, asked) %}
    {% for row in run_query(asked).rows %}
        {% do builds.update({row[0] ~ '/' ~ row[1]: build_of(row)}) %}
    {% endfor %}
{% endmacro %}

{% macro build_columns() -%}
    model, change_log, built_to, fingerprint, toUnixTimestamp64Milli(started_at) as started_ms
{%- endmacro %}

{# A row of build_columns() as the other macros know it. #}
{% macro build_of(row) %}
    {{ return({'built_to': row[2] | int, 'fingerprint': row[3], 'started_ms': row[4] | int}) }}
{% endmacro %}

{% macro newest_build(name, change_log) -%}
    select * from (
        select {{ build_columns() }}
        from {{ model_builds() }}
        where model = '{{ name }}' and change_log = '{{ change_log }}'
        order by built_to desc, built_at desc
        limit 1
    )
{%- endmacro %}

{# (model, change log) of each log that the models follow, once. #}
{% macro followed_logs(nodes) %}
    {% set followed = [] %}
    {% for node in nodes %}
        {% for change_log in node.config.meta.get('change_logs', []) if (node.name, change_log) not in followed %}
            {% do followed.append((node.name, change_log)) %}
        {% endfor %}
    {% endfor %}
    {{ return(followed) }}
{% endmacro %}

{# What this run keeps in mind from node to node. dbt has no place for it but the graph, which all nodes share. #}
{% macro remember(what, value) %}
    {% do graph.update({'meterhouse_' ~ what: {'invocation_id': invocation_id, 'value': value}}) %}
{% endmacro %}

{# none where this run was not told. A process may run dbt several times with one graph. #}
{% macro remembered(what) %}
    {% set kept = graph.get('meterhouse_' ~ what) %}
    {{ return(kept.value if kept and kept.invocation_id == invocation_id else none) }}
{% endmacro %}

{# Nodes of the models that a model reads, also through views. #}
{% macro upstream_models(node_id) %}
    {% set found = [] %}
    {% for upstream_id in graph.nodes[node_id].depends_on.nodes if upstream_id in graph.nodes %}
        {% set upstream = graph.nodes[upstream_id] %}
        {% if upstream.resource_type == 'model' %}
            {% do found.append(upstream) %}
            {% if upstream.config.materialized in ('view', 'ephemeral') %}
                {% do found.extend(upstream_models(upstream_id)) %}
            {% endif %}
        {% endif %}
    {% endfor %}
    {{ return(found) }}
{% endmacro %}

{# The last build of a model against a change log: {built_to, fingerprint, started_ms}; 0 where there was none. #}
{% macro last_build(ground, model_name, change_log) %}
    {{ return(ground.builds.get(model_name ~ '/' ~ change_log, {'built_to': 0, 'fingerprint': '', 'started_ms': 0})) }}
{% endmacro %}

{#
    Rows with an arrival from here on, in milliseconds of the engine's clock, may be new to a model that was last built so:
    what a slower insert made visible late, and after the clock was set back what landed since under times that lie before
    that build. When within the time since then it was set back nobody knows, so a day is looked through again.
#}
{% macro arrived_since(last) %}
    {% set seen_ms, clock_ms = [last.built_to, last.started_ms] | min, remembered('clock_ms') %}
    {% if clock_ms is not none and clock_ms < seen_ms %}{% set seen_ms = clock_ms - 86400000 %}{% endif %}
    {{ return([seen_ms - (var('visibility_lag_s') | int) * 1000, 0] | max) }}
{% endmacro %}

{# `built_to` by change log. One insert: either all of it is remembered or nothing. #}
{% macro record_build(built_to, mode, buckets, fingerprint, began) %}
    {% set took = (modules.datetime.datetime.now(modules.pytz.utc) - began).total_seconds() %}
    {% set rows, known = [], remembered('builds') %}
    {% for change_log, to in built_to.items() %}
        {% do rows.append(
            "('" ~ model.name ~ "', '" ~ change_log ~ "', " ~ to ~ ", '" ~ mode ~ "', " ~ buckets ~ ", '" ~ fingerprint
            ~ "', '" ~ invocation_id ~ "', now64(3) - toIntervalMillisecond(" ~ (took * 1000) | int ~ "))"
        ) %}
    {% endfor %}
    {% do run_query(
        "insert into " ~ model_builds()
        ~ " (model, change_log, built_to, mode, buckets, fingerprint, invocation_id, started_at) values " ~ rows | join(', ')
    ) %}
    {% if known is not none %}
        {% for change_log, to in built_to.items() %}
            {% do known.update({model.name ~ '/' ~ change_log: {
                'built_to': to, 'fingerprint': fingerprint, 'started_ms': remembered('clock_ms')
            }}) %}
        {% endfor %}
    {% endif %}
{% endmacro %}

{#
    How far a model may be built: as far as everything it reads is. Views are looked through; a table that does not
    follow the change log says nothing about it, unless it feeds it (meta.feeds): changes of its own log are named again in
    that one, in the same order, so what it has not taken up must not be built yet.
#}
{% macro upstream_built_to(ground, node_id, change_log) %}
    {% set bounds = [] %}
    {% for upstream in upstream_models(node_id) %}
        {% set followed = upstream.config.meta.get('change_logs', []) %}
        {% if upstream.name == change_log or change_log in followed %}
            {% do bounds.append(last_build(ground, upstream.name, change_log).built_to) %}
        {% elif change_log in upstream.config.meta.get('feeds', []) %}
            {% do bounds.append(last_build(ground, upstream.name, followed | first).built_to) %}
        {% endif %}
    {% endfor %}
    {{ return(bounds | min if bounds else none) }}
{% endmacro %}

{#
    What the rows of a model depend on besides the events: its SQL, the small tables named in meta.rebuilt_by, and the same
    of everything it reads. Another fingerprint means that the past changes too, so the model is rebuilt whole.
#}
{% macro build_fingerprint(ground, sql) %}
    {% set hashes = [local_md5(sql)] %}
    {% for name in model.config.meta.get('rebuilt_by', []) %}
        {% do hashes.append(ground.rows[name]) %}
    {% endfor %}
    {% do hashes.extend(upstream_fingerprints(ground, model.unique_id)) %}
    {{ return(local_md5(hashes | join(','))) }}
{% endmacro %}

{% macro upstream_fingerprints(ground, node_id) %}
    {% set hashes = [] %}
    {% for upstream_id in graph.nodes[node_id].depends_on.nodes | sort if upstream_id in graph.nodes %}
        {% set upstream = graph.nodes[upstream_id] %}
        {% if upstream.config.materialized == 'bucketed' %}
            {% do hashes.append(last_build(ground, upstream.name, upstream.config.meta.change_logs | first).fingerprint) %}
        {% elif upstream.config.materialized in ('view', 'ephemeral') %}
            {% do hashes.append(upstream.checksum.checksum) %}
            {% do hashes.extend(upstream_fingerprints(ground, upstream_id)) %}
        {% endif %}
    {% endfor %}
    {{ return(hashes) }}
{% endmacro %}
