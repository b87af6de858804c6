-- One row: one message of the topic agent_events as the contract accepted it. Copies of an event_id within a workspace
-- are several rows until a merge; the highest _version is the last arrival and wins. docs/raw-tables.md has the reasons
-- and the measurements behind order, codecs and settings.
create table if not exists {{stored raw.agent_events}} {{on_cluster}}
(
    event_id UUID,
    event_type LowCardinality(String),
    schema_version UInt16,
    occurred_at DateTime64(3, 'UTC'),
    workspace_id LowCardinality(String),
    environment LowCardinality(String),
    service LowCardinality(String),
    source LowCardinality(String),
    agent LowCardinality(String),
    session_id String,
    run_id String,
    actor_id String,
    route LowCardinality(String),
    trace_id String,
    span_id String,
    parent_span_id String,
    provider LowCardinality(String),
    model LowCardinality(String),
    input_tokens Nullable(UInt64),
    output_tokens Nullable(UInt64),
    cache_read_tokens Nullable(UInt64),
    cache_write_tokens Nullable(UInt64),
    reasoning_tokens Nullable(UInt64),
    prompt_hash String,
    time_to_first_token_ms Nullable(Float64),
    tool_name LowCardinality(String),
    status LowCardinality(String),
    error_type LowCardinality(String),
    latency_ms Nullable(Float64),
    unit_cost_input Nullable(Decimal(18, 12)),
    unit_cost_output Nullable(Decimal(18, 12)),
    cost_usd Nullable(Decimal(18, 12)),
    context String,
    _topic LowCardinality(String),
    _partition Int32,
    _offset Int64,
    _appended_at DateTime64(3, 'UTC'),
    _loaded_at DateTime64(3, 'UTC') default now64(3),
    -- Arrival as one number: the insert's time, then the offset within it. Two rows of one insert have the same
    -- _loaded_at, so the time alone cannot tell which came last.
    _version UInt128 materialized bitOr(bitShiftLeft(toUInt128(toUnixTimestamp64Milli(_loaded_at)), 64), toUInt128(toUInt64(_offset)))
)
engine = {{sharded ReplacingMergeTree(_version)}}
partition by toYYYYMM(occurred_at)
order by (workspace_id, event_type, occurred_at, event_id)
ttl toDateTime(_loaded_at) + interval {{retention_days}} day
settings {{dedup_window 10000}}, merge_with_ttl_timeout = 86400;

{{distributed raw.agent_events cityHash64(event_id)}};
