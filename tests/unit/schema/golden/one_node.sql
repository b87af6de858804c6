-- bookkeeping.sql
create database if not exists `raw`;

-- bookkeeping.sql
create database if not exists `ops`;

-- bookkeeping.sql
create table if not exists `ops`.schema_migrations
(
    version UInt32,
    name String,
    checksum String,
    applied_at DateTime64(3, 'UTC') default now64(3),
    applied_by String
)
engine = MergeTree()
order by (version, applied_at)
settings non_replicated_deduplication_window = 1000;

-- 0001_raw_agent_events.sql
create table if not exists `raw`.agent_events
(
    event_id UUID codec(LZ4),
    event_type LowCardinality(String) codec(ZSTD(1)),
    schema_version UInt16 codec(ZSTD(1)),
    occurred_at DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    workspace_id LowCardinality(String) codec(ZSTD(1)),
    environment LowCardinality(String) codec(ZSTD(1)),
    service LowCardinality(String) codec(ZSTD(1)),
    source LowCardinality(String) codec(ZSTD(1)),
    agent LowCardinality(String) codec(ZSTD(1)),
    session_id String codec(ZSTD(1)),
    run_id String codec(ZSTD(1)),
    actor_id String codec(ZSTD(1)),
    route LowCardinality(String) codec(ZSTD(1)),
    trace_id String codec(ZSTD(1)),
    span_id String codec(ZSTD(1)),
    parent_span_id String codec(ZSTD(1)),
    provider LowCardinality(String) codec(ZSTD(1)),
    model LowCardinality(String) codec(ZSTD(1)),
    input_tokens Nullable(UInt64) codec(T64, ZSTD(1)),
    output_tokens Nullable(UInt64) codec(T64, ZSTD(1)),
    cache_read_tokens Nullable(UInt64) codec(T64, ZSTD(1)),
    cache_write_tokens Nullable(UInt64) codec(T64, ZSTD(1)),
    reasoning_tokens Nullable(UInt64) codec(T64, ZSTD(1)),
    prompt_hash String codec(ZSTD(1)),
    time_to_first_token_ms Nullable(Float64) codec(ZSTD(3)),
    tool_name LowCardinality(String) codec(ZSTD(1)),
    status LowCardinality(String) codec(ZSTD(1)),
    error_type LowCardinality(String) codec(ZSTD(1)),
    latency_ms Nullable(Float64) codec(ZSTD(3)),
    unit_cost_input Nullable(Decimal(18, 12)) codec(ZSTD(1)),
    unit_cost_output Nullable(Decimal(18, 12)) codec(ZSTD(1)),
    cost_usd Nullable(Decimal(18, 12)) codec(ZSTD(1)),
    context String codec(ZSTD(3)),
    _topic LowCardinality(String) codec(ZSTD(1)),
    _partition Int32 codec(ZSTD(1)),
    _offset Int64 codec(Delta, ZSTD(1)),
    _appended_at DateTime64(3, 'UTC') codec(ZSTD(1)),
    _loaded_at DateTime64(3, 'UTC') default now64(3) codec(ZSTD(1)),
    _version UInt128 materialized bitOr(
        bitShiftLeft(toUInt128(toUnixTimestamp64Milli(_loaded_at)), 64), toUInt128(toUInt64(_offset))
    ) codec(ZSTD(1)),
    index loaded_at_range _loaded_at type minmax granularity 1
)
engine = ReplacingMergeTree(_version)
partition by toYYYYMM(occurred_at)
order by (workspace_id, event_type, occurred_at, event_id)
ttl toDateTime(_loaded_at) + interval 90 day
settings non_replicated_deduplication_window = 100000, merge_with_ttl_timeout = 86400, fsync_after_insert = 1, fsync_part_directory = 1;

-- 0002_raw_dead_letters.sql
create table if not exists `raw`.dead_letters
(
    _topic LowCardinality(String),
    _topic_id String,
    _partition Int32,
    _offset Int64,
    _appended_at DateTime64(3, 'UTC'),
    _loaded_at DateTime64(3, 'UTC') default now64(3),
    stream LowCardinality(String),
    error_class LowCardinality(String),
    field LowCardinality(String),
    reason String,
    event_id String,
    workspace_id String,
    message_key String,
    payload String codec(ZSTD(3)),
    payload_bytes UInt32,
    is_scrubbed Bool
)
engine = ReplacingMergeTree(_loaded_at)
order by (_topic, _topic_id, _partition, _offset)
ttl toDateTime(_loaded_at) + interval 30 day
settings non_replicated_deduplication_window = 100000, merge_with_ttl_timeout = 86400, fsync_after_insert = 1, fsync_part_directory = 1;

-- 0003_ops_loading.sql
create table if not exists `ops`.load_claims
(
    topic LowCardinality(String),
    topic_id String,
    partition Int32,
    first_offset Int64,
    last_offset Int64,
    judged_at DateTime64(3, 'UTC'),
    owner String,
    claimed_at DateTime64(3, 'UTC') default now64(3)
)
engine = MergeTree()
order by (topic, topic_id, partition, first_offset, claimed_at)
ttl toDateTime(claimed_at) + interval 30 day
settings non_replicated_deduplication_window = 100000, merge_with_ttl_timeout = 86400;

-- 0003_ops_loading.sql
create table if not exists `ops`.load_batches
(
    topic LowCardinality(String),
    topic_id String,
    partition Int32,
    first_offset Int64,
    last_offset Int64,
    messages UInt64,
    landed UInt64,
    rejected UInt64,
    dropped UInt64,
    lost UInt64,
    bytes UInt64,
    min_occurred_at Nullable(DateTime64(3, 'UTC')),
    max_occurred_at Nullable(DateTime64(3, 'UTC')),
    min_appended_at Nullable(DateTime64(3, 'UTC')),
    max_appended_at Nullable(DateTime64(3, 'UTC')),
    judged_at DateTime64(3, 'UTC'),
    landed_at DateTime64(3, 'UTC') default now64(3),
    owner String,
    rejected_by_class Map(LowCardinality(String), UInt64),
    dropped_fields Map(String, UInt64),
    insert_attempts UInt16
)
engine = ReplacingMergeTree(landed_at)
partition by toYYYYMM(judged_at)
order by (topic, topic_id, partition, first_offset, last_offset)
ttl toDateTime(landed_at) + interval 400 day
settings non_replicated_deduplication_window = 100000, ttl_only_drop_parts = 1;

-- 0003_ops_loading.sql
create table if not exists `ops`.load_progress
(
    topic LowCardinality(String),
    partition Int32,
    topic_id String,
    next_offset Int64,
    low_watermark Int64,
    high_watermark Int64,
    lag UInt64,
    complete_to Nullable(DateTime64(3, 'UTC')),
    oldest_occurred_at Nullable(DateTime64(3, 'UTC')),
    newest_occurred_at Nullable(DateTime64(3, 'UTC')),
    last_appended_at Nullable(DateTime64(3, 'UTC')),
    partition_count UInt32 default 0,
    reported_at DateTime64(3, 'UTC') default now64(3),
    owner String
)
engine = ReplacingMergeTree(reported_at)
order by (topic, partition)
settings non_replicated_deduplication_window = 100;

-- 0003_ops_loading.sql
create table if not exists `ops`.dead_letter_replays
(
    replay_id UUID,
    _topic LowCardinality(String),
    _topic_id String,
    _partition Int32,
    _offset Int64,
    to_topic LowCardinality(String),
    replayed_at DateTime64(3, 'UTC') default now64(3),
    replayed_by String
)
engine = ReplacingMergeTree(replayed_at)
order by (_topic, _topic_id, _partition, _offset, replay_id)
ttl toDateTime(replayed_at) + interval 400 day
settings non_replicated_deduplication_window = 1000, merge_with_ttl_timeout = 86400;

-- 0004_ops_completeness.sql
create or replace view `ops`.completeness  as
with
    reports as (
        select * from `ops`.load_progress final
    ),
    current_topics as (
        select
            topic,
            argMax(topic_id, reported_at) as current_topic_id
        from reports
        group by topic
    ),
    final as (
        select
            reports.topic as topic,
            any(reports.topic_id) as topic_id,
            toUInt32(count()) as partitions_reported,
            greatest(max(reports.partition_count), partitions_reported) as partitions,
            if(
                partitions_reported < partitions or countIf(isNull(reports.complete_to)) > 0,
                null,
                min(reports.complete_to)
            ) as complete_to,
            sum(reports.lag) as lag,
            min(reports.oldest_occurred_at) as oldest_occurred_at,
            max(reports.newest_occurred_at) as newest_occurred_at,
            min(reports.reported_at) as reported_at,
            min(reports.reported_at) < now64(3) - interval 60 second as is_stale
        from reports
        inner join current_topics on reports.topic = current_topics.topic
        where reports.topic_id = current_topics.current_topic_id
        group by reports.topic
    )
select * from final;

-- 0005_ops_completeness.sql
create or replace view `ops`.completeness  as
select
    reports.topic as topic,
    any(reports.topic_id) as topic_id,
    toUInt32(count()) as partitions_reported,
    greatest(max(reports.partition_count), partitions_reported) as partitions,
    if(
        partitions_reported < partitions or countIf(isNull(reports.complete_to)) > 0,
        null,
        min(reports.complete_to)
    ) as complete_to,
    sum(reports.lag) as lag,
    min(reports.oldest_occurred_at) as oldest_occurred_at,
    max(reports.newest_occurred_at) as newest_occurred_at,
    min(reports.reported_at) as reported_at,
    min(reports.reported_at) < now64(3) - interval 60 second as is_stale
from (select * from `ops`.load_progress final) as reports
inner join
    (
        select
            topic,
            argMax(topic_id, reported_at) as current_topic_id
        from `ops`.load_progress final
        group by topic
    ) as current_topics
    on reports.topic = current_topics.topic
where reports.topic_id = current_topics.current_topic_id
group by reports.topic;

-- 0006_ops_alerts.sql
create table if not exists `ops`.alert_log
(
    rule_id LowCardinality(String),
    workspace_id LowCardinality(String),
    step UInt64,
    writer String,
    at DateTime64(3, 'UTC'),
    dedup_key String,
    subject String,
    state LowCardinality(String),
    change LowCardinality(String),
    severity LowCardinality(String),
    value Float64,
    threshold Float64,
    since DateTime('UTC'),
    until DateTime('UTC'),
    runbook String,
    began_at DateTime64(3, 'UTC'),
    fired_at Nullable(DateTime64(3, 'UTC')),
    waits_for String,
    quiet_since Nullable(DateTime('UTC')),
    ended_at Nullable(DateTime('UTC')),
    told_at Nullable(DateTime64(3, 'UTC')),
    told_severity LowCardinality(String),
    told_badness Float64,
    acknowledged_by String,
    note String,
    thread String,
    message_id String,
    message_kind LowCardinality(String),
    logged_at DateTime64(3, 'UTC') default now64(3)
)
engine = MergeTree()
order by (rule_id, workspace_id, step, dedup_key)
ttl toDateTime(logged_at) + interval 400 day
settings non_replicated_deduplication_window = 100000, merge_with_ttl_timeout = 86400;

-- 0006_ops_alerts.sql
create table if not exists `ops`.alert_messages
(
    message_id String,
    rule_id LowCardinality(String),
    workspace_id LowCardinality(String),
    step UInt64,
    thread String,
    kind LowCardinality(String),
    severity LowCardinality(String),
    owner LowCardinality(String),
    at DateTime64(3, 'UTC'),
    title String,
    body String,
    channels Array(String),
    written_at DateTime64(3, 'UTC') default now64(3)
)
engine = MergeTree()
order by (at, message_id)
ttl toDateTime(written_at) + interval 400 day
settings non_replicated_deduplication_window = 10000, merge_with_ttl_timeout = 86400;

-- 0006_ops_alerts.sql
create table if not exists `ops`.alert_deliveries
(
    message_id String,
    channel LowCardinality(String),
    attempt UInt32,
    outcome LowCardinality(String),
    at DateTime64(3, 'UTC'),
    retry_at Nullable(DateTime64(3, 'UTC')),
    passed_to Array(String),
    detail String,
    owner String,
    written_at DateTime64(3, 'UTC') default now64(3)
)
engine = MergeTree()
order by (message_id, channel, attempt, written_at)
ttl toDateTime(written_at) + interval 400 day
settings non_replicated_deduplication_window = 100000, merge_with_ttl_timeout = 86400;

-- 0006_ops_alerts.sql
create table if not exists `ops`.alert_silences
(
    silence_id String,
    rule_id String,
    workspace_id String,
    subject String,
    severity String,
    starts_at DateTime('UTC'),
    ends_at DateTime('UTC'),
    reason String,
    created_by String,
    created_at DateTime64(3, 'UTC'),
    version UInt64
)
engine = ReplacingMergeTree(version)
order by silence_id
ttl ends_at + interval 400 day
settings non_replicated_deduplication_window = 1000, merge_with_ttl_timeout = 86400;

-- 0007_ops_quality.sql
create table if not exists `ops`.produced_offsets
(
    topic LowCardinality(String),
    topic_id String,
    partition Int32,
    day Date,
    end_offset UInt64,
    looked_at DateTime64(3, 'UTC') default now64(3)
)
engine = ReplacingMergeTree(end_offset)
order by (topic, topic_id, partition, day)
ttl toDateTime(looked_at) + interval 400 day
settings non_replicated_deduplication_window = 1000, merge_with_ttl_timeout = 86400;

-- 0008_raw_otel.sql
create table if not exists `raw`.otel_traces
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
engine = ReplacingMergeTree(_version)
partition by toYYYYMM(Timestamp)
order by (workspace_id, toStartOfHour(Timestamp), TraceId, SpanId)
ttl toDateTime(_loaded_at) + interval 90 day
settings non_replicated_deduplication_window = 100000, merge_with_ttl_timeout = 86400, fsync_after_insert = 1, fsync_part_directory = 1;

-- 0008_raw_otel.sql
create table if not exists `raw`.otel_logs
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
engine = ReplacingMergeTree(_version)
partition by toYYYYMM(Timestamp)
order by (workspace_id, toStartOfHour(Timestamp), ServiceName, Timestamp, _log_id)
ttl toDateTime(_loaded_at) + interval 90 day
settings non_replicated_deduplication_window = 100000, merge_with_ttl_timeout = 86400, fsync_after_insert = 1, fsync_part_directory = 1;

-- 0008_raw_otel.sql
create table if not exists `raw`.otel_metrics_gauge
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
engine = ReplacingMergeTree(_version)
partition by toYYYYMM(TimeUnix)
order by (workspace_id, MetricName, toStartOfHour(TimeUnix), _series_id, _time_unix_ns)
ttl toDateTime(_loaded_at) + interval 90 day
settings non_replicated_deduplication_window = 100000, merge_with_ttl_timeout = 86400, fsync_after_insert = 1, fsync_part_directory = 1;

-- 0008_raw_otel.sql
create table if not exists `raw`.otel_metrics_sum
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
engine = ReplacingMergeTree(_version)
partition by toYYYYMM(TimeUnix)
order by (workspace_id, MetricName, toStartOfHour(TimeUnix), _series_id, _time_unix_ns)
ttl toDateTime(_loaded_at) + interval 90 day
settings non_replicated_deduplication_window = 100000, merge_with_ttl_timeout = 86400, fsync_after_insert = 1, fsync_part_directory = 1;

-- 0008_raw_otel.sql
create table if not exists `raw`.otel_metrics_histogram
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
engine = ReplacingMergeTree(_version)
partition by toYYYYMM(TimeUnix)
order by (workspace_id, MetricName, toStartOfHour(TimeUnix), _series_id, _time_unix_ns)
ttl toDateTime(_loaded_at) + interval 90 day
settings non_replicated_deduplication_window = 100000, merge_with_ttl_timeout = 86400, fsync_after_insert = 1, fsync_part_directory = 1;

-- 0008_raw_otel.sql
create table if not exists `raw`.otel_metrics_exponential_histogram
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
engine = ReplacingMergeTree(_version)
partition by toYYYYMM(TimeUnix)
order by (workspace_id, MetricName, toStartOfHour(TimeUnix), _series_id, _time_unix_ns)
ttl toDateTime(_loaded_at) + interval 90 day
settings non_replicated_deduplication_window = 100000, merge_with_ttl_timeout = 86400, fsync_after_insert = 1, fsync_part_directory = 1;

-- 0008_raw_otel.sql
create table if not exists `raw`.otel_metrics_summary
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
engine = ReplacingMergeTree(_version)
partition by toYYYYMM(TimeUnix)
order by (workspace_id, MetricName, toStartOfHour(TimeUnix), _series_id, _time_unix_ns)
ttl toDateTime(_loaded_at) + interval 90 day
settings non_replicated_deduplication_window = 100000, merge_with_ttl_timeout = 86400, fsync_after_insert = 1, fsync_part_directory = 1;

-- 0009_ops_otlp.sql
create or replace view `ops`.completeness  as
select
    reports.topic as topic,
    any(reports.topic_id) as topic_id,
    toUInt32(count()) as partitions_reported,
    greatest(max(reports.partition_count), partitions_reported) as partitions,
    if(
        partitions_reported < partitions or countIf(isNull(reports.complete_to)) > 0,
        null,
        min(reports.complete_to)
    ) as complete_to,
    sum(reports.lag) as lag,
    min(reports.oldest_occurred_at) as oldest_occurred_at,
    max(reports.newest_occurred_at) as newest_occurred_at,
    min(reports.reported_at) as reported_at,
    min(reports.reported_at) < now64(3) - interval 60 second as is_stale,
    toUInt64(sum(greatest(reports.high_watermark, 0))) as produced
from (select * from `ops`.load_progress final) as reports
inner join
    (
        select
            topic,
            argMax(topic_id, reported_at) as current_topic_id
        from `ops`.load_progress final
        group by topic
    ) as current_topics
    on reports.topic = current_topics.topic
where reports.topic_id = current_topics.current_topic_id
group by reports.topic;
