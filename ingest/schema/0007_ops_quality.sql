-- One row: how far one partition of a topic reached on one day, as the completeness check saw it on the broker. What a
-- topic held that was deleted, or lost with a broker that kept it in memory, is known from here alone. The highest
-- end_offset of a day counts.
create table if not exists {{stored ops.produced_offsets}} {{on_cluster}}
(
    topic LowCardinality(String),
    topic_id String,
    partition Int32,
    day Date,
    end_offset UInt64,
    looked_at DateTime64(3, 'UTC') default now64(3)
)
engine = {{everywhere ReplacingMergeTree(end_offset)}}
order by (topic, topic_id, partition, day)
ttl toDateTime(looked_at) + interval 400 day
settings {{dedup_window 1000}}, merge_with_ttl_timeout = 86400;
