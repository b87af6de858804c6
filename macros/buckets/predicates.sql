{#
    What a model says of itself when it is built piece by piece. In a build these leave a mark that the materialization
    replaces, once for each slice; everywhere else (dbt show, compile, a unit test) they hold for every row.
#}

{# Rows that belong to the buckets of the slice being built. `column` is an event time, or for daily buckets a Date. #}
{% macro in_buckets(column) -%}
    {%- if is_built_in_pieces() -%} __in_buckets({{ column }})__ {%- else -%} (1 = 1) {%- endif -%}
{%- endmacro %}

{# Rows that landed since the last build, seen from `column`, a DateTime64 of the engine's clock. #}
{% macro arrived(column) -%}
    {%- if is_built_in_pieces() -%} __arrived({{ column }})__ {%- else -%} (1 = 1) {%- endif -%}
{%- endmacro %}

{# Rows of a change log that this model has not seen. `column` is a change_id. #}
{% macro unseen(column) -%}
    {%- if is_built_in_pieces() -%} __unseen({{ column }})__ {%- else -%} (1 = 1) {%- endif -%}
{%- endmacro %}

{# The id under which this build's changes are known: milliseconds of the engine's clock. #}
{% macro change_id() -%}
    {%- if is_built_in_pieces() -%} __change_id__ {%- else -%} toUInt64(0) {%- endif -%}
{%- endmacro %}

{# Whether the model's table is not there yet, so that it cannot read its own past. #}
{% macro is_first_build() %}
    {{ return(not is_built_in_pieces() or load_cached_relation(this) is none) }}
{% endmacro %}

{# What the table's newest build said, for a model that follows itself. #}
{% macro previous_value(column) -%}
    (select argMax({{ column }}, change_id) from {{ this }})
{%- endmacro %}

{% macro is_built_in_pieces() %}
    {{ return(
        execute
        and flags.WHICH in ('run', 'build')
        and model.resource_type == 'model'
        and model.config.materialized in ('bucketed', 'appended')
    ) }}
{% endmacro %}

{# The mark replaced by a condition over the slice's buckets, or by one that holds always or never. #}
{% macro put_buckets(sql, unit, buckets) %}
    {% set one, last = buckets | first, buckets | last %}
    {% set mark = modules.re.compile('__in_buckets\\((.+?)\\)__') %}
    {% if unit == 'hour' %}
        {% set words = "(\\1 >= toDateTime('" ~ one ~ "', 'UTC') and \\1 < toDateTime('" ~ last
            ~ "', 'UTC') + interval 1 hour and toStartOfHour(\\1) in ("
            ~ bucket_literals(unit, buckets) ~ "))" %}
    {% else %}
        {% set words = "(\\1 >= toDate('" ~ one ~ "') and \\1 < toDate('" ~ last
            ~ "') + 1 and toDate(\\1) in (" ~ bucket_literals(unit, buckets) ~ "))" %}
    {% endif %}
    {{ return(mark.sub(words, sql)) }}
{% endmacro %}

{% macro bucket_literals(unit, buckets) %}
    {% set literals = [] %}
    {% for bucket in buckets %}
        {% do literals.append("toDateTime('" ~ bucket ~ "', 'UTC')" if unit == 'hour' else "toDate('" ~ bucket ~ "')") %}
    {% endfor %}
    {{ return(literals | join(', ')) }}
{% endmacro %}

{# The model's SQL with every mark set to "always": for its columns and types. #}
{% macro without_marks(sql) %}
    {% set text = modules.re.sub('__(in_buckets|arrived|unseen)\\(.+?\\)__', '(1 = 1)', sql) %}
    {{ return(text.replace('__change_id__', 'toUInt64(0)')) }}
{% endmacro %}

{# Marks of arrival and change, for the span between two builds in milliseconds; `since_ms` as arrived_since() says. #}
{% macro put_arrivals(sql, from_ms, to_ms, since_ms) %}
    {% set text = modules.re.sub(
        '__arrived\\((.+?)\\)__', "(\\1 >= fromUnixTimestamp64Milli(" ~ since_ms ~ ", 'UTC'))", sql
    ) %}
    {% set text = modules.re.sub(
        '__unseen\\((.+?)\\)__', "(\\1 > " ~ from_ms ~ " and \\1 <= " ~ to_ms ~ ")", text
    ) %}
    {{ return(text.replace('__change_id__', 'toUInt64(' ~ to_ms ~ ')')) }}
{% endmacro %}
