-- One row: one message of the topic agent_events as the contract accepted it. Copies of an event_id within a workspace
-- are several rows until a merge; the highest _version is the last arrival and wins. docs/raw-tables.md has the reasons
-- and the measurements behind order, codecs and settings.
create table if not exists {{stored raw.agent_events}} {{on_cluster}}
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
    -- Arrival as one number: the insert's time, then the offset within it. Two rows of one insert have the same
    -- _loaded_at, so the time alone cannot tell which came last.
    _version UInt128 materialized bitOr(
        bitShiftLeft(toUInt128(toUnixTimestamp64Milli(_loaded_at)), 64), toUInt128(toUInt64(_offset))
    ) codec(ZSTD(1)),
    -- Arrival-driven models ask for _loaded_at > x, and the loader for where a run landed.
    index loaded_at_range _loaded_at type minmax granularity 1
)
engine = {{sharded ReplacingMergeTree(_version)}}
partition by toYYYYMM(occurred_at)
order by (workspace_id, event_type, occurred_at, event_id)
ttl toDateTime(_loaded_at) + interval {{retention_days}} day
settings {{dedup_window 100000}}, merge_with_ttl_timeout = 86400, fsync_after_insert = 1, fsync_part_directory = 1;

{{distributed raw.agent_events cityHash64(event_id)}};
