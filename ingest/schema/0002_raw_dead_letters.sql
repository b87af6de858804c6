-- One row: one message that could not be landed, whole (content attributes' values scrubbed), with where it came from
-- and why it was refused. Its identity is where it stood in Kafka, so a second attempt to write it collapses.
-- Not partitioned: an insert token counts within one partition, and every time here could fall into another month on
-- a retry (_loaded_at) or be a producer's fantasy (_appended_at).
create table if not exists {{stored raw.dead_letters}} {{on_cluster}}
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
engine = {{sharded ReplacingMergeTree(_loaded_at)}}
order by (_topic, _topic_id, _partition, _offset)
ttl toDateTime(_loaded_at) + interval 30 day
settings {{dedup_window 100000}}, merge_with_ttl_timeout = 86400, fsync_after_insert = 1, fsync_part_directory = 1;

{{distributed raw.dead_letters cityHash64(_topic_id, _partition, _offset)}};
