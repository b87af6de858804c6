"""What the pipeline lacks: partitions that lag, refusals by class, agents that fell silent."""

from datetime import timedelta

from orchestration.lib.alerts.asking import Asker, named, of
from orchestration.lib.alerts.places import maybe_utc
from orchestration.lib.alerts.rules import span


def silent_agents(asker: Asker) -> None:
    rows = asker.rows(
        "select agent, max(minute) as last_at, sum(calls) as n from <marts>.agent_metrics_1m "
        "where workspace_id = {workspace:String} and minute >= {recent:DateTime('UTC')} "
        "and minute < {until:DateTime('UTC')} group by agent order by n desc, agent limit 3",
        recent=asker.recent - timedelta(hours=3),
    )
    for row in rows:
        at = maybe_utc(row["last_at"])
        asker.found.contributors.append(f"{named(row['agent'], 'agent')}: last call at {at:%H:%M} UTC")


def refusals(asker: Asker) -> None:
    rows = asker.rows(
        "select tupleElement(one, 1) as error_class, tupleElement(one, 2) as n from (select "
        "arrayJoin(arrayZip(mapKeys(counted), mapValues(counted))) as one from ("
        "select sumMap(rejected_by_class) as counted from <marts>.pipeline_health "
        "where topic in {subjects:Array(String)} "
        "and minute >= {until:DateTime('UTC')} - interval 1 hour and minute < {until:DateTime('UTC')})) "
        "order by n desc limit 3"
    )
    for row in rows:
        asker.found.contributors.append(f"{row['error_class']}: {of(row, 'n'):,.0f} messages in the last hour")


def partitions(asker: Asker) -> None:
    rows = asker.rows(
        "select topic, partition, lag, reported_at from <ops>.load_progress final "
        "order by lag desc, reported_at limit 3"
    )
    for row in rows:
        at = maybe_utc(row["reported_at"])
        asker.found.contributors.append(
            f"{row['topic']}/{row['partition']}: {of(row, 'lag'):,.0f} messages behind, last heard of at {at:%H:%M} UTC"
        )


def clock(asker: Asker) -> None:
    for row in asker.rows("select behind_s, lag_messages, is_loader_silent from <marts>.slo_clock limit 1"):
        silent = "no loader has reported for a minute" if row["is_loader_silent"] else "a loader reports"
        asker.found.how_bad += [
            f"{of(row, 'lag_messages'):,.0f} messages not landed", f"{span(of(row, 'behind_s'))} behind", silent
        ]  # fmt: skip
    asker.found.hurts.append("every workspace: no alert on anything later than the watermark can begin")
