-- What OpenTelemetry says, column for column as the Collector's ClickHouse exporter writes it (v0.161 of
-- opentelemetry-collector-contrib, exporter/clickhouseexporter/internal/sqltemplates), so that a model reads either;
-- then whose it is, where it stood in Kafka (_index: which record of its message, from 0), when it landed, its identity.
-- _environment is what the credential fixed, '' where it fixed none. docs/otlp.md has the identities and what differs
-- from the exporter's tables: order, partitions and indexes, and no columns that the exporter's table computes.
--
-- Copies of a record are several rows until a merge; the highest _version is the last arrival and wins: the insert's
-- time, then offset and index within it.

-- One row: one span. Its identity is (workspace_id, TraceId, SpanId).
create table if not exists {{stored raw.otel_traces}} {{on_cluster}}
(
    Timestamp DateTime64(9, 'UTC') codec(Delta, ZSTD(1)),
    TraceId String codec(ZSTD(1)),
    SpanId String codec(ZSTD(1)),
    ParentSpanId String codec(ZSTD(1)),
    TraceState String codec(ZSTD(1)),
    SpanName LowCardinality(String) codec(ZSTD(1)),
    SpanKind LowCardinality(String) codec(ZSTD(1)),
    ServiceName LowCardinality(String) codec(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) codec(ZSTD(1)),
    ScopeName String codec(ZSTD(1)),
    ScopeVersion String codec(ZSTD(1)),
    SpanAttributes Map(LowCardinality(String), String) codec(ZSTD(1)),
    Duration UInt64 codec(ZSTD(1)),
    StatusCode LowCardinality(String) codec(ZSTD(1)),
    StatusMessage String codec(ZSTD(1)),
    Events Nested (
        Timestamp DateTime64(9, 'UTC'),
        Name LowCardinality(String),
        Attributes Map(LowCardinality(String), String)
    ) codec(ZSTD(1)),
    Links Nested (
        TraceId String,
        SpanId String,
        TraceState String,
        Attributes Map(LowCardinality(String), String)
    ) codec(ZSTD(1)),
    workspace_id LowCardinality(String) codec(ZSTD(1)),
    _environment LowCardinality(String) codec(ZSTD(1)),
    _topic LowCardinality(String) codec(ZSTD(1)),
    _partition Int32 codec(ZSTD(1)),
    _offset Int64 codec(Delta, ZSTD(1)),
    _index UInt32 codec(Delta, ZSTD(1)),
    _appended_at DateTime64(3, 'UTC') codec(ZSTD(1)),
    _loaded_at DateTime64(3, 'UTC') default now64(3) codec(ZSTD(1)),
    _version UInt128 materialized bitOr(
        bitShiftLeft(toUInt128(toUnixTimestamp64Milli(_loaded_at)), 80),
        bitOr(bitShiftLeft(toUInt128(toUInt64(_offset)), 24), toUInt128(_index))
    ) codec(ZSTD(1)),
    index loaded_at_range _loaded_at type minmax granularity 1,
    index idx_trace_id TraceId type bloom_filter(0.001) granularity 1
)
engine = {{sharded ReplacingMergeTree(_version)}}
partition by toYYYYMM(Timestamp)
order by (workspace_id, toStartOfHour(Timestamp), TraceId, SpanId)
ttl toDateTime(_loaded_at) + interval {{retention_days}} day
settings {{dedup_window 100000}}, merge_with_ttl_timeout = 86400, fsync_after_insert = 1, fsync_part_directory = 1;

{{distributed raw.otel_traces cityHash64(TraceId)}};

-- One row: one log record. Its identity is (workspace_id, _log_id): everything it says, from where, and _copy, the
-- how-manieth of equal records of its message it is, so that a line logged twice stays two and a request sent twice
-- becomes one.
create table if not exists {{stored raw.otel_logs}} {{on_cluster}}
(
    Timestamp DateTime64(9, 'UTC') codec(Delta, ZSTD(1)),
    TraceId String codec(ZSTD(1)),
    SpanId String codec(ZSTD(1)),
    TraceFlags UInt8,
    SeverityText LowCardinality(String) codec(ZSTD(1)),
    SeverityNumber UInt8,
    ServiceName LowCardinality(String) codec(ZSTD(1)),
    Body String codec(ZSTD(1)),
    ResourceSchemaUrl LowCardinality(String) codec(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) codec(ZSTD(1)),
    ScopeSchemaUrl LowCardinality(String) codec(ZSTD(1)),
    ScopeName String codec(ZSTD(1)),
    ScopeVersion LowCardinality(String) codec(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) codec(ZSTD(1)),
    LogAttributes Map(LowCardinality(String), String) codec(ZSTD(1)),
    EventName String codec(ZSTD(1)),
    workspace_id LowCardinality(String) codec(ZSTD(1)),
    _environment LowCardinality(String) codec(ZSTD(1)),
    _topic LowCardinality(String) codec(ZSTD(1)),
    _partition Int32 codec(ZSTD(1)),
    _offset Int64 codec(Delta, ZSTD(1)),
    _index UInt32 codec(Delta, ZSTD(1)),
    _appended_at DateTime64(3, 'UTC') codec(ZSTD(1)),
    _loaded_at DateTime64(3, 'UTC') default now64(3) codec(ZSTD(1)),
    _copy UInt32 codec(ZSTD(1)),
    _log_id UInt128 materialized reinterpretAsUInt128(sipHash128(
        toUnixTimestamp64Nano(Timestamp), TraceId, SpanId, TraceFlags, SeverityText, SeverityNumber, Body, EventName,
        ScopeName, ScopeVersion, ResourceAttributes, ScopeAttributes, LogAttributes, _copy
    )) codec(LZ4),
    _version UInt128 materialized bitOr(
        bitShiftLeft(toUInt128(toUnixTimestamp64Milli(_loaded_at)), 80),
        bitOr(bitShiftLeft(toUInt128(toUInt64(_offset)), 24), toUInt128(_index))
    ) codec(ZSTD(1)),
    index loaded_at_range _loaded_at type minmax granularity 1,
    index idx_trace_id TraceId type bloom_filter(0.001) granularity 1
)
engine = {{sharded ReplacingMergeTree(_version)}}
partition by toYYYYMM(Timestamp)
order by (workspace_id, toStartOfHour(Timestamp), ServiceName, Timestamp, _log_id)
ttl toDateTime(_loaded_at) + interval {{retention_days}} day
settings {{dedup_window 100000}}, merge_with_ttl_timeout = 86400, fsync_after_insert = 1, fsync_part_directory = 1;

{{distributed raw.otel_logs cityHash64(toUnixTimestamp64Nano(Timestamp))}};

-- One row: one point of a gauge. The identity of a point of any kind is (workspace_id, _series_id, _time_unix_ns): the
-- series is the metric and every attribute of resource, scope and point; TimeUnix has whole seconds, as the exporter's.
create table if not exists {{stored raw.otel_metrics_gauge}} {{on_cluster}}
(
    ResourceAttributes Map(LowCardinality(String), String) codec(ZSTD(1)),
    ResourceSchemaUrl String codec(ZSTD(1)),
    ScopeName String codec(ZSTD(1)),
    ScopeVersion String codec(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) codec(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 codec(ZSTD(1)),
    ScopeSchemaUrl String codec(ZSTD(1)),
    ServiceName LowCardinality(String) codec(ZSTD(1)),
    MetricName LowCardinality(String) codec(ZSTD(1)),
    MetricDescription String codec(ZSTD(1)),
    MetricUnit String codec(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) codec(ZSTD(1)),
    StartTimeUnix DateTime('UTC') codec(Delta, ZSTD(1)),
    TimeUnix DateTime('UTC') codec(Delta, ZSTD(1)),
    Value Float64 codec(ZSTD(1)),
    Flags UInt32 codec(ZSTD(1)),
    Exemplars Nested (
        FilteredAttributes Map(LowCardinality(String), String),
        TimeUnix DateTime('UTC'),
        Value Float64,
        SpanId String,
        TraceId String
    ) codec(ZSTD(1)),
    workspace_id LowCardinality(String) codec(ZSTD(1)),
    _environment LowCardinality(String) codec(ZSTD(1)),
    _topic LowCardinality(String) codec(ZSTD(1)),
    _partition Int32 codec(ZSTD(1)),
    _offset Int64 codec(Delta, ZSTD(1)),
    _index UInt32 codec(Delta, ZSTD(1)),
    _appended_at DateTime64(3, 'UTC') codec(ZSTD(1)),
    _loaded_at DateTime64(3, 'UTC') default now64(3) codec(ZSTD(1)),
    _time_unix_ns UInt64 default toUInt64(toUnixTimestamp(TimeUnix)) * 1000000000 codec(Delta, ZSTD(1)),
    _series_id UInt64 materialized cityHash64(
        MetricName, MetricUnit, ServiceName, ScopeName, ScopeVersion, mapSort(ResourceAttributes),
        mapSort(ScopeAttributes), mapSort(Attributes)
    ) codec(ZSTD(1)),
    _version UInt128 materialized bitOr(
        bitShiftLeft(toUInt128(toUnixTimestamp64Milli(_loaded_at)), 80),
        bitOr(bitShiftLeft(toUInt128(toUInt64(_offset)), 24), toUInt128(_index))
    ) codec(ZSTD(1)),
    index loaded_at_range _loaded_at type minmax granularity 1
)
engine = {{sharded ReplacingMergeTree(_version)}}
partition by toYYYYMM(TimeUnix)
order by (workspace_id, MetricName, toStartOfHour(TimeUnix), _series_id, _time_unix_ns)
ttl toDateTime(_loaded_at) + interval {{retention_days}} day
settings {{dedup_window 100000}}, merge_with_ttl_timeout = 86400, fsync_after_insert = 1, fsync_part_directory = 1;

{{distributed raw.otel_metrics_gauge cityHash64(workspace_id, ServiceName, MetricName)}};

-- One row: one point of a sum.
create table if not exists {{stored raw.otel_metrics_sum}} {{on_cluster}}
(
    ResourceAttributes Map(LowCardinality(String), String) codec(ZSTD(1)),
    ResourceSchemaUrl String codec(ZSTD(1)),
    ScopeName String codec(ZSTD(1)),
    ScopeVersion String codec(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) codec(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 codec(ZSTD(1)),
    ScopeSchemaUrl String codec(ZSTD(1)),
    ServiceName LowCardinality(String) codec(ZSTD(1)),
    MetricName LowCardinality(String) codec(ZSTD(1)),
    MetricDescription String codec(ZSTD(1)),
    MetricUnit String codec(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) codec(ZSTD(1)),
    StartTimeUnix DateTime('UTC') codec(Delta, ZSTD(1)),
    TimeUnix DateTime('UTC') codec(Delta, ZSTD(1)),
    Value Float64 codec(ZSTD(1)),
    Flags UInt32 codec(ZSTD(1)),
    Exemplars Nested (
        FilteredAttributes Map(LowCardinality(String), String),
        TimeUnix DateTime('UTC'),
        Value Float64,
        SpanId String,
        TraceId String
    ) codec(ZSTD(1)),
    AggregationTemporality Int32 codec(ZSTD(1)),
    IsMonotonic Bool codec(Delta, ZSTD(1)),
    workspace_id LowCardinality(String) codec(ZSTD(1)),
    _environment LowCardinality(String) codec(ZSTD(1)),
    _topic LowCardinality(String) codec(ZSTD(1)),
    _partition Int32 codec(ZSTD(1)),
    _offset Int64 codec(Delta, ZSTD(1)),
    _index UInt32 codec(Delta, ZSTD(1)),
    _appended_at DateTime64(3, 'UTC') codec(ZSTD(1)),
    _loaded_at DateTime64(3, 'UTC') default now64(3) codec(ZSTD(1)),
    _time_unix_ns UInt64 default toUInt64(toUnixTimestamp(TimeUnix)) * 1000000000 codec(Delta, ZSTD(1)),
    _series_id UInt64 materialized cityHash64(
        MetricName, MetricUnit, ServiceName, ScopeName, ScopeVersion, mapSort(ResourceAttributes),
        mapSort(ScopeAttributes), mapSort(Attributes), AggregationTemporality, IsMonotonic
    ) codec(ZSTD(1)),
    _version UInt128 materialized bitOr(
        bitShiftLeft(toUInt128(toUnixTimestamp64Milli(_loaded_at)), 80),
        bitOr(bitShiftLeft(toUInt128(toUInt64(_offset)), 24), toUInt128(_index))
    ) codec(ZSTD(1)),
    index loaded_at_range _loaded_at type minmax granularity 1
)
engine = {{sharded ReplacingMergeTree(_version)}}
partition by toYYYYMM(TimeUnix)
order by (workspace_id, MetricName, toStartOfHour(TimeUnix), _series_id, _time_unix_ns)
ttl toDateTime(_loaded_at) + interval {{retention_days}} day
settings {{dedup_window 100000}}, merge_with_ttl_timeout = 86400, fsync_after_insert = 1, fsync_part_directory = 1;

{{distributed raw.otel_metrics_sum cityHash64(workspace_id, ServiceName, MetricName)}};

-- One row: one point of a histogram.
create table if not exists {{stored raw.otel_metrics_histogram}} {{on_cluster}}
(
    ResourceAttributes Map(LowCardinality(String), String) codec(ZSTD(1)),
    ResourceSchemaUrl String codec(ZSTD(1)),
    ScopeName String codec(ZSTD(1)),
    ScopeVersion String codec(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) codec(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 codec(ZSTD(1)),
    ScopeSchemaUrl String codec(ZSTD(1)),
    ServiceName LowCardinality(String) codec(ZSTD(1)),
    MetricName LowCardinality(String) codec(ZSTD(1)),
    MetricDescription String codec(ZSTD(1)),
    MetricUnit String codec(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) codec(ZSTD(1)),
    StartTimeUnix DateTime('UTC') codec(Delta, ZSTD(1)),
    TimeUnix DateTime('UTC') codec(Delta, ZSTD(1)),
    Count UInt64 codec(Delta, ZSTD(1)),
    Sum Float64 codec(ZSTD(1)),
    BucketCounts Array(UInt64) codec(ZSTD(1)),
    ExplicitBounds Array(Float64) codec(ZSTD(1)),
    Exemplars Nested (
        FilteredAttributes Map(LowCardinality(String), String),
        TimeUnix DateTime('UTC'),
        Value Float64,
        SpanId String,
        TraceId String
    ) codec(ZSTD(1)),
    Flags UInt32 codec(ZSTD(1)),
    Min Float64 codec(ZSTD(1)),
    Max Float64 codec(ZSTD(1)),
    AggregationTemporality Int32 codec(ZSTD(1)),
    workspace_id LowCardinality(String) codec(ZSTD(1)),
    _environment LowCardinality(String) codec(ZSTD(1)),
    _topic LowCardinality(String) codec(ZSTD(1)),
    _partition Int32 codec(ZSTD(1)),
    _offset Int64 codec(Delta, ZSTD(1)),
    _index UInt32 codec(Delta, ZSTD(1)),
    _appended_at DateTime64(3, 'UTC') codec(ZSTD(1)),
    _loaded_at DateTime64(3, 'UTC') default now64(3) codec(ZSTD(1)),
    _time_unix_ns UInt64 default toUInt64(toUnixTimestamp(TimeUnix)) * 1000000000 codec(Delta, ZSTD(1)),
    _series_id UInt64 materialized cityHash64(
        MetricName, MetricUnit, ServiceName, ScopeName, ScopeVersion, mapSort(ResourceAttributes),
        mapSort(ScopeAttributes), mapSort(Attributes), AggregationTemporality
    ) codec(ZSTD(1)),
    _version UInt128 materialized bitOr(
        bitShiftLeft(toUInt128(toUnixTimestamp64Milli(_loaded_at)), 80),
        bitOr(bitShiftLeft(toUInt128(toUInt64(_offset)), 24), toUInt128(_index))
    ) codec(ZSTD(1)),
    index loaded_at_range _loaded_at type minmax granularity 1
)
engine = {{sharded ReplacingMergeTree(_version)}}
partition by toYYYYMM(TimeUnix)
order by (workspace_id, MetricName, toStartOfHour(TimeUnix), _series_id, _time_unix_ns)
ttl toDateTime(_loaded_at) + interval {{retention_days}} day
settings {{dedup_window 100000}}, merge_with_ttl_timeout = 86400, fsync_after_insert = 1, fsync_part_directory = 1;

{{distributed raw.otel_metrics_histogram cityHash64(workspace_id, ServiceName, MetricName)}};

-- One row: one point of an exponential histogram.
create table if not exists {{stored raw.otel_metrics_exponential_histogram}} {{on_cluster}}
(
    ResourceAttributes Map(LowCardinality(String), String) codec(ZSTD(1)),
    ResourceSchemaUrl String codec(ZSTD(1)),
    ScopeName String codec(ZSTD(1)),
    ScopeVersion String codec(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) codec(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 codec(ZSTD(1)),
    ScopeSchemaUrl String codec(ZSTD(1)),
    ServiceName LowCardinality(String) codec(ZSTD(1)),
    MetricName LowCardinality(String) codec(ZSTD(1)),
    MetricDescription String codec(ZSTD(1)),
    MetricUnit String codec(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) codec(ZSTD(1)),
    StartTimeUnix DateTime('UTC') codec(Delta, ZSTD(1)),
    TimeUnix DateTime('UTC') codec(Delta, ZSTD(1)),
    Count UInt64 codec(Delta, ZSTD(1)),
    Sum Float64 codec(ZSTD(1)),
    Scale Int32 codec(ZSTD(1)),
    ZeroCount UInt64 codec(ZSTD(1)),
    PositiveOffset Int32 codec(ZSTD(1)),
    PositiveBucketCounts Array(UInt64) codec(ZSTD(1)),
    NegativeOffset Int32 codec(ZSTD(1)),
    NegativeBucketCounts Array(UInt64) codec(ZSTD(1)),
    Exemplars Nested (
        FilteredAttributes Map(LowCardinality(String), String),
        TimeUnix DateTime('UTC'),
        Value Float64,
        SpanId String,
        TraceId String
    ) codec(ZSTD(1)),
    Flags UInt32 codec(ZSTD(1)),
    Min Float64 codec(ZSTD(1)),
    Max Float64 codec(ZSTD(1)),
    AggregationTemporality Int32 codec(ZSTD(1)),
    workspace_id LowCardinality(String) codec(ZSTD(1)),
    _environment LowCardinality(String) codec(ZSTD(1)),
    _topic LowCardinality(String) codec(ZSTD(1)),
    _partition Int32 codec(ZSTD(1)),
    _offset Int64 codec(Delta, ZSTD(1)),
    _index UInt32 codec(Delta, ZSTD(1)),
    _appended_at DateTime64(3, 'UTC') codec(ZSTD(1)),
    _loaded_at DateTime64(3, 'UTC') default now64(3) codec(ZSTD(1)),
    _time_unix_ns UInt64 default toUInt64(toUnixTimestamp(TimeUnix)) * 1000000000 codec(Delta, ZSTD(1)),
    _series_id UInt64 materialized cityHash64(
        MetricName, MetricUnit, ServiceName, ScopeName, ScopeVersion, mapSort(ResourceAttributes),
        mapSort(ScopeAttributes), mapSort(Attributes), AggregationTemporality
    ) codec(ZSTD(1)),
    _version UInt128 materialized bitOr(
        bitShiftLeft(toUInt128(toUnixTimestamp64Milli(_loaded_at)), 80),
        bitOr(bitShiftLeft(toUInt128(toUInt64(_offset)), 24), toUInt128(_index))
    ) codec(ZSTD(1)),
    index loaded_at_range _loaded_at type minmax granularity 1
)
engine = {{sharded ReplacingMergeTree(_version)}}
partition by toYYYYMM(TimeUnix)
order by (workspace_id, MetricName, toStartOfHour(TimeUnix), _series_id, _time_unix_ns)
ttl toDateTime(_loaded_at) + interval {{retention_days}} day
settings {{dedup_window 100000}}, merge_with_ttl_timeout = 86400, fsync_after_insert = 1, fsync_part_directory = 1;

{{distributed raw.otel_metrics_exponential_histogram cityHash64(workspace_id, ServiceName, MetricName)}};

-- One row: one point of a summary.
create table if not exists {{stored raw.otel_metrics_summary}} {{on_cluster}}
(
    ResourceAttributes Map(LowCardinality(String), String) codec(ZSTD(1)),
    ResourceSchemaUrl String codec(ZSTD(1)),
    ScopeName String codec(ZSTD(1)),
    ScopeVersion String codec(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) codec(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 codec(ZSTD(1)),
    ScopeSchemaUrl String codec(ZSTD(1)),
    ServiceName LowCardinality(String) codec(ZSTD(1)),
    MetricName LowCardinality(String) codec(ZSTD(1)),
    MetricDescription String codec(ZSTD(1)),
    MetricUnit String codec(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) codec(ZSTD(1)),
    StartTimeUnix DateTime('UTC') codec(Delta, ZSTD(1)),
    TimeUnix DateTime('UTC') codec(Delta, ZSTD(1)),
    Count UInt64 codec(Delta, ZSTD(1)),
    Sum Float64 codec(ZSTD(1)),
    ValueAtQuantiles Nested (
        Quantile Float64,
        Value Float64
    ) codec(ZSTD(1)),
    Flags UInt32 codec(ZSTD(1)),
    workspace_id LowCardinality(String) codec(ZSTD(1)),
    _environment LowCardinality(String) codec(ZSTD(1)),
    _topic LowCardinality(String) codec(ZSTD(1)),
    _partition Int32 codec(ZSTD(1)),
    _offset Int64 codec(Delta, ZSTD(1)),
    _index UInt32 codec(Delta, ZSTD(1)),
    _appended_at DateTime64(3, 'UTC') codec(ZSTD(1)),
    _loaded_at DateTime64(3, 'UTC') default now64(3) codec(ZSTD(1)),
    _time_unix_ns UInt64 default toUInt64(toUnixTimestamp(TimeUnix)) * 1000000000 codec(Delta, ZSTD(1)),
    _series_id UInt64 materialized cityHash64(
        MetricName, MetricUnit, ServiceName, ScopeName, ScopeVersion, mapSort(ResourceAttributes),
        mapSort(ScopeAttributes), mapSort(Attributes)
    ) codec(ZSTD(1)),
    _version UInt128 materialized bitOr(
        bitShiftLeft(toUInt128(toUnixTimestamp64Milli(_loaded_at)), 80),
        bitOr(bitShiftLeft(toUInt128(toUInt64(_offset)), 24), toUInt128(_index))
    ) codec(ZSTD(1)),
    index loaded_at_range _loaded_at type minmax granularity 1
)
engine = {{sharded ReplacingMergeTree(_version)}}
partition by toYYYYMM(TimeUnix)
order by (workspace_id, MetricName, toStartOfHour(TimeUnix), _series_id, _time_unix_ns)
ttl toDateTime(_loaded_at) + interval {{retention_days}} day
settings {{dedup_window 100000}}, merge_with_ttl_timeout = 86400, fsync_after_insert = 1, fsync_part_directory = 1;

{{distributed raw.otel_metrics_summary cityHash64(workspace_id, ServiceName, MetricName)}};
