with

{% set kinds = {
    'gauge': ['Value', '1', 'Value', '2', 'false'],
    'sum': ['Value', '1', 'Value', 'AggregationTemporality', 'IsMonotonic'],
    'histogram': ['null', 'Count', 'Sum', 'AggregationTemporality', 'true'],
    'exponential_histogram': ['null', 'Count', 'Sum', 'AggregationTemporality', 'true'],
    'summary': ['null', 'Count', 'Sum', '2', 'true'],
} -%}

points as (
    {% for kind, said in kinds.items() -%}
    select
        {{ otel_workspace('workspace_id', 'ResourceAttributes') }} as workspace_id,
        toLowCardinality('{{ kind }}') as kind,
        MetricName as metric_name,
        toLowCardinality(MetricUnit) as unit,
        ServiceName as service,
        _environment as environment,
        toLowCardinality(ScopeName) as scope_name,
        Attributes as attributes,
        ResourceAttributes as resource_attributes,
        _series_id as series_id,
        StartTimeUnix as started_at,
        TimeUnix as occurred_at,
        _time_unix_ns as time_unix_ns,
        toUInt64({{ said[1] }}) as observations,
        toFloat64({{ said[2] }}) as total,
        {{ said[3] }} = 1 as is_delta,
        toBool({{ said[4] }}) as is_counter,
        _loaded_at as loaded_at,
        _version as version
    from {{ source('otel', 'otel_metrics_' ~ kind) }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

final as (
    select
        * except (is_delta),
        toBool(is_delta) as is_delta
    from points
)

select * from final
