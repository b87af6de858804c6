-- The view of 0004 without names in a with clause: read from disk at start, the embedded engine took them for tables of no
-- database, and `drop database` failed ever after. What it says is the same.
create or replace view {{ops}}.completeness {{on_cluster}} as
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
from (select * from {{ops}}.load_progress final) as reports
inner join
    (
        select
            topic,
            argMax(topic_id, reported_at) as current_topic_id
        from {{ops}}.load_progress final
        group by topic
    ) as current_topics
    on reports.topic = current_topics.topic
where reports.topic_id = current_topics.current_topic_id
group by reports.topic;
