{#
    Alerts are models: models/alerts/alert_<rule>.sql, one a rule, and alerts_current is all of them. A rule selects one row
    for what is wrong now and none when all is well (macros/alerts says how it gets into alerts_current). Adding its SQL
    and YAML is all there is to do.
#}

{#
    The ten columns of an alert, types fixed. Arguments are SQL expressions, except rule_id, which is the model's name
    without alert_. severity is page, ticket or notice. workspace_id is '' where the whole house is meant. since is the
    start of the first 5 minutes of the present uninterrupted stretch, until the end of what has been judged: the alert
    held up to there, never later than the completeness watermark. An alert that is over is a row that is gone.
#}
{% macro alert_columns(rule_id, severity, workspace_id, subject, value, threshold, since, until) -%}
    {%- if execute and model.resource_type == 'model' and model.name != 'alert_' ~ rule_id -%}
        {%- do exceptions.raise_compiler_error(
            'alert_columns() of ' ~ model.name ~ " expected rule_id='" ~ model.name[6:] ~ "', the model's name without alert_, and got '"
            ~ rule_id ~ "': a rule is found by its file, its runbook and its silences by this one name"
        ) -%}
    {%- endif -%}
        toLowCardinality('{{ rule_id }}') as rule_id,
        toLowCardinality(toString({{ severity }})) as severity,
        toLowCardinality(toString({{ workspace_id }})) as workspace_id,
        cast({{ subject }} as String) as subject,
        toFloat64({{ value }}) as value,
        toFloat64({{ threshold }}) as threshold,
        toDateTime({{ since }}, 'UTC') as since,
        toDateTime({{ until }}, 'UTC') as until,
        'docs/runbooks/{{ rule_id }}.md' as runbook,
        cast(concat('{{ rule_id }}/', {{ workspace_id }}, '/', {{ subject }}) as String) as dedup_key
{%- endmacro %}

{#
    Names of all alert models, in order. While dbt parses, they are the files there are, since other models may not be
    known yet; afterwards they are the models of the graph, which leaves out a disabled one.
#}
{% macro alert_models() %}
    {% set names = [] %}
    {% if execute %}
        {% for node in graph.nodes.values() if node.resource_type == 'model' and node.config.materialized == 'alert' %}
            {% do names.append(node.name) %}
        {% endfor %}
    {% elif ref.manifest is defined %}
        {% for file in ref.manifest.files.values() if file.parse_file_type == 'model' %}
            {% set name = modules.re.match('^(?:.*/)?(alert_[a-z0-9_]+)[.]sql$', file.path.relative_path) %}
            {% set is_other = "enabled *= *false|materialized *= *.board" %}
            {% if name and not modules.re.search(is_other, file.contents or '', modules.re.I) %}
                {% do names.append(name.group(1)) %}
            {% endif %}
        {% endfor %}
    {% endif %}
    {{ return(names | sort) }}
{% endmacro %}

{#
    Every alert of one contract: a missing column or another type is said with the file that has it. A partial parse does
    not read alerts_current again for a new file, so the first build after adding an alert may come before it in the
    order: it is in alerts_current all the same, and the next full parse (CI, Dagster's start) draws the line.
#}
{% macro check_alert_contracts() %}
    {% if execute %}
        {% for node in graph.nodes.values() if node.name in alert_models() and node.resource_type == 'model' %}
            {% if model.resource_type == 'model' and node.unique_id not in model.depends_on.nodes %}
                {% do log(
                    node.name ~ ' is in alerts_current; lineage shows it after the next dbt parse --no-partial-parse', info=True
                ) %}
            {% endif %}
            {% for column in model.columns.values() %}
                {% set own = node.columns.get(column.name, {}).get('data_type') %}
                {% if own != column.data_type %}
                    {% do exceptions.raise_compiler_error(
                        'alerts_current expected ' ~ node.original_file_path ~ ' to have the column ' ~ column.name ~ ' as '
                        ~ column.data_type ~ ', and its YAML says ' ~ (own or 'nothing of it')
                        ~ ': select alert_columns(...) and describe the ten columns as models/alerts/alert_pipeline_behind.yml does'
                    ) %}
                {% endif %}
            {% endfor %}
        {% endfor %}
    {% endif %}
{% endmacro %}
