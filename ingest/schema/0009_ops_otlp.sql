-- The view of 0005 with `produced`: the offsets that the partitions reach to, as last reported. It is 0 where nobody ever
-- wrote to a topic, so that whoever reads the view can leave out a topic that is there and not used.
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
    min(reports.reported_at) < now64(3) - interval 60 second as is_stale,
    toUInt64(sum(greatest(reports.high_watermark, 0))) as produced
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
