-- One row: one alert's life at one step of its group, which is all alerts of one rule and workspace. A step is one insert
-- of the whole group under the token alert:<rule>/<workspace>/<step>: of two that write a step the first wins, whole. So
-- what people are told (message_id) is decided in the same row as why. Never partition this table: tokens count within one
-- partition, and a second writer would then win too.
create table if not exists {{stored ops.alert_log}} {{on_cluster}}
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
engine = {{everywhere MergeTree}}
order by (rule_id, workspace_id, step, dedup_key)
ttl toDateTime(logged_at) + interval 400 day
settings {{dedup_window 100000}}, merge_with_ttl_timeout = 86400;

-- One row: what one message says and to which channels it goes. It counts only when a row of alert_log names it: the body
-- is written first, so that a step never stands without its message.
create table if not exists {{stored ops.alert_messages}} {{on_cluster}}
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
engine = {{everywhere MergeTree}}
order by (at, message_id)
ttl toDateTime(written_at) + interval 400 day
settings {{dedup_window 10000}}, merge_with_ttl_timeout = 86400;

-- One row: one attempt to deliver a message to a channel was claimed (outcome claimed, under the token
-- send:<message>:<channel>:<attempt>, so that one process sends it), or ended: delivered, failed, given_up, dry_run.
create table if not exists {{stored ops.alert_deliveries}} {{on_cluster}}
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
engine = {{everywhere MergeTree}}
order by (message_id, channel, attempt, written_at)
ttl toDateTime(written_at) + interval 400 day
settings {{dedup_window 100000}}, merge_with_ttl_timeout = 86400;

-- One row: one silence; the newest version counts. An empty matcher fits everything, * and ? within one are wildcards.
create table if not exists {{stored ops.alert_silences}} {{on_cluster}}
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
engine = {{everywhere ReplacingMergeTree(version)}}
order by silence_id
ttl ends_at + interval 400 day
settings {{dedup_window 1000}}, merge_with_ttl_timeout = 86400;
