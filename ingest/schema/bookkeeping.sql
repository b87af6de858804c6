-- Before every migration: the two databases the loader writes to, and the list of what was applied. Always run, so
-- always idempotent. The first row of a version wins (insert token migration:<version>).
create database if not exists {{raw}} {{on_cluster}};

create database if not exists {{ops}} {{on_cluster}};

create table if not exists {{stored ops.schema_migrations}} {{on_cluster}}
(
    version UInt32,
    name String,
    checksum String,
    applied_at DateTime64(3, 'UTC') default now64(3),
    applied_by String
)
engine = {{everywhere MergeTree}}
order by (version, applied_at)
settings {{dedup_window 1000}};
