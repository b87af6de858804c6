with

source as (
    -- _log_id and _version are materialized, so a star does not bring them.
    select
        *,
        _log_id,
        _version
    from {{ source('otel', 'otel_logs') }}
),

renamed as (
    select
        -- identity
        {{ otel_workspace('workspace_id', 'ResourceAttributes') }} as workspace_id,
        _log_id as log_id,
        TraceId as trace_id,
        SpanId as span_id,
        -- who reported it
        ServiceName as service,
        _environment as environment,
        ScopeName as scope_name,
        ScopeVersion as scope_version,
        -- when
        Timestamp as occurred_at,
        toStartOfHour(Timestamp) as occurred_hour,
        -- what it said
        SeverityNumber as severity_number,
        EventName as event_name,
        Body as body,
        LogAttributes as attributes,
        ResourceAttributes as resource_attributes,
        -- arrival
        _appended_at as appended_at,
        _loaded_at as loaded_at,
        _version as version
    from source
)

select * from renamed
