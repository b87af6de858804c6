{#
    materialized='bucketed': a table built from whole buckets of event time, driven by what changed.

    meta.bucket            hour or day: what is rebuilt whole
    meta.bucket_column     the model's column that names the bucket by its start (DateTime in UTC, or Date)
    meta.partition         hour, day or month: what is replaced at once; at least as long as the bucket
    meta.change_logs       models that say which hours changed (int_changed_hours, int_changed_run_hours)
    meta.spread_days       days after a changed bucket whose rows look back at it (0)
    meta.rebuilt_by        small tables a change of which rebuilds everything (seeds of rules)
    meta.before_replace    a macro called with (old relation, new relation, slice, change id of the last build) before
                           each replacement

    An increment asks the logs which buckets changed since this model's last build, up to where everything it reads is
    built, computes them into a table beside it and puts them in place partition by partition: REPLACE PARTITION is
    atomic, so a reader sees the old bucket or the new one, and a bucket that came out empty is gone. What is not
    touched of a partition is copied. A full refresh goes through all buckets the same way, slice by slice, so its
    memory is bounded by a slice too, and takes the table's place in one exchange. New columns or new SQL make a full
    refresh by themselves.
#}
{% materialization bucketed, adapter='clickhouse' %}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set plain_sql = without_marks(sql) -%}
    {%- set ground = ground_of(model.unique_id) -%}
    {%- set plan = plan_buckets(ground, existing, plain_sql) -%}

    {{ run_hooks(pre_hooks) }}
    {% if plan.mode == 'full' %}
        {% do build_all(target_relation, existing, sql, plan) %}
    {% else %}
        {% do build_changed(target_relation, sql, plan) %}
    {% endif %}
    {% call noop_statement('main', plan.mode ~ ' ' ~ plan.buckets ~ ' buckets', 'OK', plan.buckets) %}{% endcall %}
    {% do record_build(plan.built_to, plan.mode, plan.buckets, plan.fingerprint, ground.began) %}

    {% do apply_grants(target_relation, config.get('grants'), should_revoke=should_revoke(existing, plan.mode == 'full')) %}
    {% if plan.mode == 'full' %}{% do persist_docs(target_relation, model) %}{% endif %}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{#
    {mode, slices, buckets, built_to by change log, built_from: the last build's by the first log, arrived_since: of the same,
    fingerprint}. A slice is {partitions, buckets}, both in order.
#}
{% macro plan_buckets(ground, existing, plain_sql) %}
    {% set meta = model.config.meta %}
    {% set fingerprint = build_fingerprint(ground, plain_sql) %}
    {% set built_to, ranges, whole = {}, [], [] %}
    {% for change_log in meta.change_logs %}
        {% set last = last_build(ground, model.name, change_log) %}
        {% set to = upstream_built_to(ground, model.unique_id, change_log) %}
        {% if to is none %}
            {% do exceptions.raise_compiler_error(
                model.name ~ ' names the change log ' ~ change_log ~ ', but nothing it reads follows it: ref the log, '
                ~ 'or a model built from it'
            ) %}
        {% endif %}
        {% do built_to.update({change_log: to}) %}
        {% do ranges.append({'log': change_log, 'from': last.built_to, 'to': to}) %}
        {% if last.fingerprint != fingerprint %}{% do whole.append(change_log) %}{% endif %}
    {% endfor %}
    {% set is_full = existing is none or not existing.is_table or should_full_refresh() or whole | length > 0 %}
    {% if is_full and existing is not none and not should_full_refresh() %}
        {% do log(model.name ~ ' is rebuilt whole: its SQL, columns or rules changed since the last build', info=True) %}
    {% endif %}
    {% set is_backfill = not is_full and backfilled_days() is not none %}
    {% if is_backfill %}
        {# The chosen days and no others: what changed elsewhere is left to the next increment, which looks from where
           the last one did. #}
        {% do refuse_what_raw_lost() %}
        {% for range in ranges %}{% do built_to.update({range.log: range['from']}) %}{% endfor %}
        {% set slices = cut_slices(meta, days_of(meta, changed_buckets_sql(meta, ranges, true))) %}
    {% else %}
        {% set advanced = [] %}
        {% for range in ranges if range.to > range['from'] %}{% do advanced.append(range.log) %}{% endfor %}
        {% set slices = cut_slices(meta, changed_buckets_sql(meta, ranges, is_full)) if is_full or advanced else [] %}
    {% endif %}
    {% set counts = [] %}
    {% for slice in slices %}{% do counts.append(slice.buckets | length) %}{% endfor %}
    {{ return({
        'mode': 'full' if is_full else 'backfill' if is_backfill else ('increment' if slices else 'none'),
        'slices': slices,
        'buckets': counts | sum,
        'built_to': built_to,
        'built_from': ranges[0]['from'],
        'arrived_since': arrived_since(last_build(ground, model.name, meta.change_logs | first)),
        'fingerprint': fingerprint,
    }) }}
{% endmacro %}

{# The days that vars from_day and to_day choose, both inclusive, as {first, last}; none where they are not set. #}
{% macro backfilled_days() %}
    {% set first, last = var('from_day', '') | string, var('to_day', '') | string %}
    {% if not first and not last %}{{ return(none) }}{% endif %}
    {% set day = modules.re.compile('^[0-9]{4}-[0-9]{2}-[0-9]{2}$') %}
    {% if not day.match(first) or not day.match(last) or first > last %}
        {% do exceptions.raise_compiler_error(
            "from_day and to_day are two days such as '2026-11-01', the first not after the last; came " ~ first ~ ' and '
            ~ last
        ) %}
    {% endif %}
    {{ return({'first': first, 'last': last}) }}
{% endmacro %}

{% macro days_of(meta, changed_sql) %}
    {% set days = backfilled_days() %}
    {{ return(
        "select changed_at from (" ~ changed_sql ~ ") where toDate(changed_at, 'UTC') between toDate('" ~ days.first
        ~ "') and toDate('" ~ days.last ~ "')"
    ) }}
{% endmacro %}

{# Rows of raw go when they are as old as it keeps them: rebuilt from what is left, such a day would lose the rest. #}
{% macro refuse_what_raw_lost() %}
    {% set sources = [] %}
    {% for upstream_id in model.depends_on.nodes if '.stg_' in upstream_id %}{% do sources.append(upstream_id) %}{% endfor %}
    {% set kept_days = env_var('METERHOUSE_RETENTION_DAYS', '90') | int %}
    {% set first = backfilled_days().first %}
    {% if sources and run_query("select toDate('" ~ first ~ "') < toDate(now('UTC')) - " ~ (kept_days - 1)).rows[0][0] | int %}
        {% do exceptions.raise_compiler_error(
            model.name ~ ' is built from raw, which keeps ' ~ kept_days ~ ' days (METERHOUSE_RETENTION_DAYS): rebuilt, '
            ~ first ~ ' would lose rows that are gone from raw. Choose later days, or models built from it'
        ) %}
    {% endif %}
{% endmacro %}

{% macro changed_buckets_sql(meta, ranges, is_full) %}
    {% set unit = 'toStartOfHour' if meta.bucket == 'hour' else 'toStartOfDay' %}
    {% set parts, newest = [], [] %}
    {% for range in ranges %}
        {% set seen = ref(range.log) ~ ' where change_id <= ' ~ range.to %}
        {% do parts.append(
            'select distinct ' ~ unit ~ "(bucket_at, 'UTC') as changed_at from " ~ seen
            ~ ('' if is_full else ' and change_id > ' ~ range['from'])
        ) %}
        {% do newest.append('select bucket_at from ' ~ seen) %}
    {% endfor %}
    {% set changed = parts | join(' union distinct ') %}
    {% set spread = meta.get('spread_days', 0) %}
    {% if spread > 0 %}
        {% set step = 3600 if meta.bucket == 'hour' else 86400 %}
        {# No further than the newest hour that ever changed, which may be ahead of the clock where a producer's is:
           later buckets have no rows yet. By a name of its own, or the condition would read the changed hour itself. #}
        {% set changed = 'select distinct reached_at as changed_at from (select changed_at + ' ~ step
            ~ ' * arrayJoin(range(toUInt32(' ~ (spread * 86400 // step + 1) ~ '))) as reached_at from (' ~ changed
            ~ ')) where reached_at <= (select max(bucket_at) from (' ~ newest | join(' union all ') ~ '))' %}
    {% endif %}
    {{ return(changed) }}
{% endmacro %}

{% macro cut_slices(meta, changed_sql) %}
    {% set partition = {
        'hour': "toString(toYYYYMMDD(changed_at) * 100 + toHour(changed_at))",
        'day': "toString(toYYYYMMDD(changed_at))",
        'month': "toString(toYYYYMM(changed_at))",
    }[meta.partition] %}
    {% set text = "toString(changed_at)" if meta.bucket == 'hour' else "toString(toDate(changed_at))" %}
    {% set found = run_query(
        'select ' ~ partition ~ ' as partition_id, arrayStringConcat(arraySort(groupUniqArray(' ~ text
        ~ ")), ',') as buckets from (" ~ changed_sql ~ ') group by partition_id order by partition_id'
    ) %}
    {# Several partitions at once while their buckets are few: a late row here and there over weeks would otherwise cost
       a handful of statements each. The bound keeps a slice, and with it the memory of a full refresh, to two days of
       hours (meta.hours_at_once: of so many) or a week of days; a partition is never cut. #}
    {% set most = meta.get('hours_at_once', 48) if meta.bucket == 'hour' else 7 %}
    {% set slices = [] %}
    {% for row in found.rows %}
        {% set buckets = row[1].split(',') %}
        {% if slices and slices[-1].buckets | length + buckets | length <= most %}
            {% do slices[-1].partitions.append(row[0]) %}
            {% do slices[-1].buckets.extend(buckets) %}
        {% else %}
            {% do slices.append({'partitions': [row[0]], 'buckets': buckets}) %}
        {% endif %}
    {% endfor %}
    {{ return(slices) }}
{% endmacro %}

{% macro build_all(target_relation, existing, sql, plan) %}
    {% set building = make_intermediate_relation(target_relation) %}
    {% do adapter.drop_relation(building) %}
    {% do create_bucketed_table(building, without_marks(sql)) %}
    {% for slice in plan.slices %}
        {% do run_statement('insert_slice', insert_slice(building, sql, slice)) %}
        {% if existing is not none and existing.is_table %}{% do call_before_replace(existing, building, slice, plan) %}{% endif %}
    {% endfor %}
    {% if existing is none %}
        {% do adapter.rename_relation(building, target_relation) %}
    {% elif existing.is_table and existing.can_exchange %}
        {% do exchange_tables_atomic(building, target_relation) %}
        {% do adapter.drop_relation(building) %}
    {% else %}
        {% do adapter.drop_relation(existing) %}
        {% do adapter.rename_relation(building, target_relation) %}
    {% endif %}
{% endmacro %}

{% macro build_changed(target_relation, sql, plan) %}
    {% if plan.slices %}
        {% set meta = model.config.meta %}
        {% set slice_relation = target_relation.incorporate(path={'identifier': this.identifier ~ '__slice'}) %}
        {% for slice in plan.slices %}
            {% do run_statement(
                'create_slice', 'create or replace table ' ~ slice_relation ~ on_cluster_words() ~ ' as ' ~ target_relation
            ) %}
            {% do run_statement('insert_slice', insert_slice(slice_relation, sql, slice, rest_of=target_relation)) %}
            {% do call_before_replace(target_relation, slice_relation, slice, plan) %}
            {% do run_statement('replace_partitions', replace_partitions(target_relation, slice_relation, slice)) %}
        {% endfor %}
        {% do adapter.drop_relation(slice_relation) %}
    {% endif %}
{% endmacro %}

{% macro create_bucketed_table(relation, plain_sql) %}
    {% set column = model.config.meta.bucket_column %}
    {% set partition = {
        'hour': 'toYYYYMMDD(' ~ column ~ ') * 100 + toHour(' ~ column ~ ')',
        'day': 'toYYYYMMDD(' ~ column ~ ')',
        'month': 'toYYYYMM(' ~ column ~ ')',
    }[model.config.meta.partition] %}
    {% call statement('create_bucketed') %}
        create table {{ relation }} {{ on_cluster_words() }}
        {{ get_assert_columns_equivalent(plain_sql) }}
        {{ get_table_columns_and_constraints() }}
        engine = {{ kept_engine('MergeTree') }}
        {{ order_cols(label='order by') }}
        partition by {{ partition }}
        {{ adapter.get_model_settings(model, 'MergeTree') }}
    {% endcall %}
{% endmacro %}

{# The slice's rows; with `rest_of`, and where a partition is longer than a bucket, the untouched rows of its partitions too. #}
{% macro insert_slice(relation, sql, slice, rest_of=none) %}
    {% set columns, meta = [], model.config.meta %}
    {% for column in model.columns.values() %}{% do columns.append(adapter.quote(column.name)) %}{% endfor %}
    {% set names = columns | join(', ') %}
    {% set rows = 'select ' ~ names ~ ' from (\n' ~ put_buckets(sql, meta.bucket, slice.buckets) ~ '\n)' %}
    {% if rest_of is not none and meta.bucket != meta.partition %}
        {% set rows = 'select ' ~ names ~ ' from (' ~ rows ~ ' union all select ' ~ names ~ ' from ' ~ rest_of
            ~ " where _partition_id in ('" ~ slice.partitions | join("', '") ~ "') and " ~ meta.bucket_column ~ ' not in ('
            ~ bucket_literals(meta.bucket, slice.buckets) ~ '))' %}
    {% endif %}
    {{ return('insert into ' ~ relation ~ ' (' ~ names ~ ') ' ~ rows ~ adapter.get_model_query_settings(model)) }}
{% endmacro %}

{# `by`: whether the slice names its partitions by their id or by their value. #}
{% macro replace_partitions(target_relation, slice_relation, slice, by='id') %}
    {% set commands = [] %}
    {% for partition in slice.partitions %}
        {% do commands.append(
            'replace partition ' ~ ('id ' if by == 'id' else '') ~ "'" ~ partition ~ "' from " ~ slice_relation
        ) %}
    {% endfor %}
    {# A partition that came out empty replaces, and so removes, what stood there; from 26.6 on one has to say so. #}
    {{ return(
        'alter table ' ~ target_relation ~ on_cluster_words() ~ ' ' ~ commands | join(', ')
        ~ (' settings allow_replace_partition_from_empty_source = 1' if adapter.is_at_or_after_version('26.6') else '')
    ) }}
{% endmacro %}

{% macro call_before_replace(old, new, slice, plan) %}
    {% set name = model.config.meta.get('before_replace') %}
    {% if name %}{% do context[name](old, new, slice, plan) %}{% endif %}
{% endmacro %}

{% macro run_statement(name, text) %}
    {% call statement(name) %}{{ text }}{% endcall %}
{% endmacro %}
