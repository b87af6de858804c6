{#
    Two builds never build the same table at once, whoever started them: Dagster, `make build`, another machine.

    One lock a family of models (meta.family: fast, hourly or daily; views and seeds have one each), kept in ops.build_locks.
    A build takes the locks of what it selected when it begins, in one order, so no two wait for each other. A lock has
    generations: the first insert of "generation n is taken" wins, since later ones carry the same insert token. A holder
    that said nothing for build_lock_lease_s, with no statement of it running either, is dead and its lock is taken over;
    were it alive after all, it finds at its next model that a later generation exists, and stops before it writes.
#}

{% macro build_locks() -%}
    {{ ops_database() }}.build_locks
{%- endmacro %}

{% macro take_build_locks() %}
    {% if execute and flags.WHICH in ('run', 'build', 'seed') %}
        {% do make_build_locks() %}
        {% for name in locks_of(selected_resources) %}{% do take_build_lock(name) %}{% endfor %}
    {% endif %}
{% endmacro %}

{% macro make_build_locks() %}
    {% set table %}
        create table if not exists {{ build_locks() }} {{ on_cluster_words() }}
        (
            lock_name LowCardinality(String),
            generation UInt64,
            said LowCardinality(String) comment 'taken, alive or released',
            invocation_id String,
            holder String comment 'who runs the build, for people',
            said_at DateTime64(3, 'UTC') default now64(3)
        )
        engine = {{ kept_engine('MergeTree') }}
        order by (lock_name, generation, said_at)
        ttl toDateTime(said_at) + interval 30 day
        settings {{ 'replicated_' if adapter.get_clickhouse_cluster_name() else 'non_replicated_' -}}
            deduplication_window = 10000
    {% endset %}
    {% do run_query(table) %}
{% endmacro %}

{# Names of the locks that a selection needs, in order. Tests only read and need none. #}
{% macro locks_of(unique_ids) %}
    {% set names = [] %}
    {% for unique_id in unique_ids if unique_id in graph.nodes %}
        {% set name = lock_of(graph.nodes[unique_id]) %}
        {% if name and name not in names %}{% do names.append(name) %}{% endif %}
    {% endfor %}
    {{ return(names | sort) }}
{% endmacro %}

{% macro lock_of(node) %}
    {% if node.resource_type == 'seed' %}{{ return('seeds') }}{% endif %}
    {% if node.resource_type != 'model' or node.config.materialized == 'ephemeral' %}{{ return('') }}{% endif %}
    {% if node.config.materialized == 'view' %}{{ return('views') }}{% endif %}
    {{ return(node.config.meta.get('family', 'models')) }}
{% endmacro %}

{% macro take_build_lock(name) %}
    {% set wait_s = env_var('METERHOUSE_BUILD_WAIT_S', '900') | float | int %}
    {% set state = {'unheard': 0, 'is_told': false} %}
    {% for second in range(wait_s + 5) if not state.get('is_mine') %}
        {% set lock = read_build_lock(name) %}
        {# A statement of a killed build may still be writing: it counts as alive until that has ended. #}
        {% if lock.is_free or lock.quiet_s < var('build_lock_lease_s') or lock.is_working %}
            {% do state.update({'unheard': 0}) %}
        {% else %}
            {% do state.update({'unheard': state.unheard + 1}) %}
        {% endif %}
        {% if lock.is_free or state.unheard > 3 %}
            {% if not lock.is_free %}
                {% do log('the lock ' ~ name ~ ' of ' ~ lock.holder ~ ' is taken over: nothing was heard of it for '
                    ~ lock.quiet_s ~ ' s', info=True) %}
            {% endif %}
            {% do state.update({'is_mine': claim_build_lock(name, lock.generation)}) %}
        {% elif second == wait_s + 4 %}
            {% do release_build_locks() %}
            {% do exceptions.raise_compiler_error(
                name ~ ' is being built by ' ~ lock.holder ~ ' since ' ~ lock.taken_at ~ ' UTC, and ' ~ wait_s
                ~ ' s of waiting were not enough (METERHOUSE_BUILD_WAIT_S): wait for it, or stop it'
            ) %}
        {% else %}
            {% if not state.is_told %}
                {% do log('waiting for ' ~ lock.holder ~ ', which builds ' ~ name, info=True) %}
                {% do state.update({'is_told': true}) %}
            {% endif %}
            {% do run_query('select sleep(' ~ (0.2 if second < 5 else 1) ~ ')') %}
        {% endif %}
    {% endfor %}
    {% if not state.get('is_mine') %}
        {% do exceptions.raise_compiler_error('the lock ' ~ name ~ ' was always taken by others first') %}
    {% endif %}
{% endmacro %}

{# The newest generation: {generation, holder, taken_at, quiet_s, is_free, is_working}. #}
{% macro read_build_lock(name) %}
    {% set rows = run_query(
        "select generation, argMinIf(invocation_id, said_at, said = 'taken') as taken_by, "
        ~ "argMinIf(holder, said_at, said = 'taken') as held_by, "
        ~ "toString(toStartOfSecond(minIf(said_at, said = 'taken'))), "
        ~ "dateDiff('second', max(said_at), now64(3)), countIf(said = 'released' and invocation_id != '') "
        ~ "from " ~ build_locks() ~ " where lock_name = '" ~ name
        ~ "' group by generation order by generation desc limit 1"
    ).rows %}
    {% if rows | length == 0 %}
        {{ return({'generation': 0, 'is_free': true, 'quiet_s': 0, 'holder': '', 'taken_at': '', 'is_working': false}) }}
    {% endif %}
    {% set row = rows[0] %}
    {% set is_free = row[5] | int > 0 %}
    {% set is_working = false if is_free or row[4] | int < var('build_lock_lease_s') else run_query(
        "select count() from " ~ all_processes() ~ " where position(query, '" ~ row[1] ~ "') > 0 and query_id != queryID()"
    ).rows[0][0] | int > 0 %}
    {{ return({
        'generation': row[0] | int, 'holder': row[2], 'taken_at': row[3], 'quiet_s': row[4] | int, 'is_free': is_free,
        'is_working': is_working,
    }) }}
{% endmacro %}

{% macro all_processes() -%}
    {%- set cluster = adapter.get_clickhouse_cluster_name() -%}
    {{- 'clusterAllReplicas(' ~ cluster ~ ', system.processes)' if cluster else 'system.processes' -}}
{%- endmacro %}

{# Whether this build holds the lock now. A token whose row was lost in a crash burns its generation: a later one is
   tried, in steps that are the same for everybody who tries. #}
{% macro claim_build_lock(name, after) %}
    {% for step in range(20) %}
        {% set generation = after + 2 ** step %}
        {% do say_of_build_lock(name, generation, 'taken') %}
        {% set owner = run_query(
            "select argMin(invocation_id, said_at), count() from " ~ build_locks() ~ " where lock_name = '" ~ name
            ~ "' and generation = " ~ generation ~ " and said = 'taken'"
        ).rows[0] %}
        {% if owner[1] | int > 0 %}{{ return(owner[0] == invocation_id) }}{% endif %}
    {% endfor %}
    {{ return(false) }}
{% endmacro %}

{% macro say_of_build_lock(name, generation, said) %}
    {% set token = 'lock:' ~ name ~ ':' ~ generation ~ (':' ~ said ~ ':' ~ invocation_id if said != 'taken' else '') %}
    {% do run_query(
        "insert into " ~ build_locks() ~ " (lock_name, generation, said, invocation_id, holder) settings "
        ~ "insert_deduplicate = 1, insert_deduplication_token = '" ~ token ~ "' values ('" ~ name ~ "', " ~ generation
        ~ ", '" ~ said ~ "', '" ~ invocation_id ~ "', '" ~ build_holder() ~ "')"
    ) %}
{% endmacro %}

{# Who runs the build, in words: what started it may say so (Dagster names its run). #}
{% macro build_holder() -%}
    {{- env_var('MH_BUILT_BY', 'dbt ' ~ flags.WHICH) | replace("'", '') | replace('\\', '') }} {{ invocation_id[:8] -}}
{%- endmacro %}

{# Before a model: the lock is still ours, and it is said that we live. While it is a sixth of the lease at most since the
   build began, or last asked, nobody can have taken anything, so nothing is asked. #}
{% macro keep_build_lock() %}
    {% if execute and flags.WHICH in ('run', 'build', 'seed') %}
        {% set now, asked = modules.datetime.datetime.now(modules.pytz.utc), remembered('locks') or {} %}
        {% set name = lock_of(graph.nodes[model.unique_id]) if model.unique_id in graph.nodes else '' %}
        {% set quiet_s = (now - asked.get(name, run_started_at)).total_seconds() | abs %}
        {% if name and quiet_s > var('build_lock_lease_s') / 6 %}
            {% set row = run_query(
                "select argMax(invocation_id, (generation, -toUnixTimestamp64Milli(said_at))), argMax(holder, (generation, "
                ~ "-toUnixTimestamp64Milli(said_at))), (select dateDiff('second', max(said_at), now64(3)) from "
                ~ build_locks() ~ " where invocation_id = '" ~ invocation_id ~ "' and said != 'released') from "
                ~ build_locks() ~ " where lock_name = '" ~ name ~ "' and said = 'taken'"
            ).rows[0] %}
            {% if row[0] != invocation_id %}
                {% do exceptions.raise_compiler_error(
                    'this build was silent for so long that ' ~ row[1] ~ ' took over ' ~ name
                    ~ ': it stops here, so that no table is built twice at once'
                ) %}
            {% elif row[2] | int >= 10 %}
                {% do run_query(
                    "insert into " ~ build_locks() ~ " (lock_name, generation, said, invocation_id, holder) select "
                    ~ "lock_name, generation, 'alive', invocation_id, holder from " ~ build_locks()
                    ~ " where invocation_id = '" ~ invocation_id ~ "' and said = 'taken'"
                ) %}
            {% endif %}
            {% do asked.update({name: now}) %}
            {% do remember('locks', asked) %}
        {% endif %}
    {% endif %}
{% endmacro %}

{% macro release_build_locks() %}
    {% if execute and flags.WHICH in ('run', 'build', 'seed') %}
        {% do run_query(
            "insert into " ~ build_locks() ~ " (lock_name, generation, said, invocation_id, holder) select lock_name, "
            ~ "generation, 'released', invocation_id, holder from " ~ build_locks() ~ " where invocation_id = '"
            ~ invocation_id ~ "' and said = 'taken'"
        ) %}
    {% endif %}
{% endmacro %}
