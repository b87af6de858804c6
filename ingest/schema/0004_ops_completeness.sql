-- One row a topic: up to when it is complete. complete_to is null while a partition has not said how far it is, which
-- includes partitions the broker counts and no loader has reported yet. Partitions of an earlier topic of the same name
-- (another topic_id) do not count.
create or replace view {{ops}}.completeness {{on_cluster}} as
with
    reports as (
        select * from {{ops}}.load_progress final
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
