with

source as (
    -- _version is materialized, so a star does not bring it.
    select
        *,
        _version
    from {{ source('otel', 'otel_traces') }}
),

renamed as (
    select
        -- identity
        {{ otel_workspace('workspace_id', 'ResourceAttributes') }} as workspace_id,
        TraceId as trace_id,
        SpanId as span_id,
        ParentSpanId as parent_span_id,
        -- what it was
        SpanName as span_name,
        SpanKind as span_kind,
        StatusCode as status_code,
        -- who reported it
        ServiceName as service,
        _environment as environment,
        ScopeName as scope_name,
        ScopeVersion as scope_version,
        -- when
        Timestamp as started_at,
        toStartOfHour(Timestamp) as started_hour,
        -- A span of years is a broken clock; its end would be no moment.
        Timestamp + toIntervalNanosecond(least(Duration, 31 * 86400 * 1000000000)) as ended_at,
        -- what it said
        SpanAttributes as attributes,
        ResourceAttributes as resource_attributes,
        arrayFirst(
            name -> name != '', arrayMap(said -> said['exception.type'], `Events.Attributes`)
        ) as exception_type,
        arrayFirst(
            (at, name) -> name = 'First Token Stream Event', `Events.Timestamp`, `Events.Name`
        ) as first_token_at,
        -- arrival
        _appended_at as appended_at,
        _loaded_at as loaded_at,
        _version as version
    from source
)

select * from renamed
