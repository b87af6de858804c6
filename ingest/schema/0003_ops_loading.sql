-- One row: the promise that a run of offsets beginning at first_offset ends at last_offset, for every process that ever
-- loads it. The first insert with the token claim:<topic_id>:<partition>:<first_offset> wins; later ones are dropped by
-- the engine. Never partition this table: tokens count within one partition, and a second claim would then win too.
create table if not exists {{stored ops.load_claims}} {{on_cluster}}
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
engine = {{everywhere MergeTree}}
order by (topic, topic_id, partition, first_offset, claimed_at)
ttl toDateTime(claimed_at) + interval 30 day
settings {{dedup_window 100000}}, merge_with_ttl_timeout = 86400;

-- One row: a run of offsets that is in, for good: what landed, what was refused, what it took.
create table if not exists {{stored ops.load_batches}} {{on_cluster}}
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
engine = {{everywhere ReplacingMergeTree(landed_at)}}
partition by toYYYYMM(judged_at)
order by (topic, topic_id, partition, first_offset, last_offset)
ttl toDateTime(landed_at) + interval 400 day
settings {{dedup_window 100000}}, ttl_only_drop_parts = 1;

-- One row: how far one partition of one topic is in; the newest report counts. No TTL: next_offset is the floor a
-- loader starts from when claims and batches have expired.
create table if not exists {{stored ops.load_progress}} {{on_cluster}}
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
engine = {{everywhere ReplacingMergeTree(reported_at)}}
order by (topic, partition)
settings {{dedup_window 100}};

-- One row: one dead letter sent back to its topic by one replay.
create table if not exists {{stored ops.dead_letter_replays}} {{on_cluster}}
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
engine = {{everywhere ReplacingMergeTree(replayed_at)}}
order by (_topic, _topic_id, _partition, _offset, replay_id)
ttl toDateTime(replayed_at) + interval 400 day
settings {{dedup_window 1000}}, merge_with_ttl_timeout = 86400;
