"""Checks of the way in, which SQL over the tables cannot see: consumer lag and the share of refused messages.

In: a Look. Out: a Finding with numbers by topic. Raises what the broker or ClickHouse raises; `guarded` turns that into
a finding.
"""

from datetime import UTC, datetime

from ingest.embedded.report import read_complete_to, read_landed, topic_line
from ingest.kafka import KafkaAdmin
from ingest.signals import signals_by_topic
from orchestration.lib.quality_finding import Finding, Level, Look, Number, loaded_topics, rising


def consumer_lag(look: Look) -> Finding:
    """Messages on the broker that have not landed, asked of the broker now, and how far the watermark is behind.

    A watermark that stands still while nothing waits is an idle house, not a lag.
    """
    settings, rule = look.settings, look.thresholds.consumer_lag
    topics, needed = [*loaded_topics(settings), *signals_by_topic(settings)], set(loaded_topics(settings))
    landed, complete_to = read_landed(look.client, settings), read_complete_to(look.client, settings)
    with KafkaAdmin(settings.bootstrap, settings.kafka_options) as admin:
        described, marks = admin.describe(topics), admin.watermarks(topics)
    rows: list[dict[str, Number]] = []
    worst = Level.OK
    for name in topics:
        if name not in described and name not in needed:
            continue
        if name not in described:
            worst = Level.ERROR
            rows.append(_lag_row(name, "no such topic on the broker", None, None, None))
            continue
        line = topic_line(described[name], marks, landed, complete_to.get(name))
        lag = line.lag or 0
        behind_s = None if line.complete_to is None else max(0.0, (look.now - _utc(line.complete_to)).total_seconds())
        level = rising(lag, max(1, rule.warn_messages), max(1, rule.error_messages))
        if lag:
            level = max(
                level, Level.WARN if behind_s is None else rising(behind_s, rule.warn_behind_s, rule.error_behind_s)
            )
        words = "as it should be" if level is Level.OK else "behind" if line.reported_at else "no loader has reported"
        worst = max(worst, level)
        rows.append(_lag_row(name, words, line.messages, lag, behind_s))
    lag_messages = sum(int(row["lag_messages"] or 0) for row in rows)
    behind = [float(row["behind_s"]) for row in rows if row["behind_s"] is not None]
    missing = [str(row["topic"]) for row in rows if row["lag_messages"] is None]
    return Finding(
        worst,
        f"{lag_messages:,} messages have not landed"
        + (f"; complete to {max(behind):,.0f} s ago" if behind else "; no loader has said up to when it is complete")
        + (f"; the broker has no topic {', '.join(missing)}: `meterhouse up` makes it" if missing else ""),
        {
            "lag_messages": lag_messages,
            "behind_s": max(behind, default=None),
            "topics": len(rows),
            "warn_messages": rule.warn_messages,
            "error_messages": rule.error_messages,
            "warn_behind_s": rule.warn_behind_s,
            "error_behind_s": rule.error_behind_s,
        },
        rows,
    )


def _lag_row(
    topic: str, words: str, messages: int | None, lag: int | None, behind_s: float | None
) -> dict[str, Number]:
    return {
        "topic": topic,
        "state": words,
        "messages_on_broker": messages,
        "lag_messages": lag,
        "behind_s": None if behind_s is None else round(behind_s, 1),
    }


def reject_share(look: Look) -> Finding:
    """Refused messages of all that came in the last hours, by topic and class, from the loader's ledger."""
    rule = look.thresholds.reject_share
    found = look.client.query(
        f"select topic, sum(messages), sum(rejected), sumMap(rejected_by_class) "  # noqa: S608  # a name from checked settings
        f"from `{look.settings.database('ops')}`.load_batches final where topic in {{topics:Array(String)}} "
        "and landed_at > {since:DateTime64(3, 'UTC')} and landed_at <= {until:DateTime64(3, 'UTC')} "
        "group by topic order by topic",
        parameters={
            "topics": [*loaded_topics(look.settings), *signals_by_topic(look.settings)],
            "since": datetime.fromtimestamp(look.now.timestamp() - rule.window_hours * 3_600, UTC),
            "until": look.now,
        },
    ).result_rows
    rows: list[dict[str, Number]] = []
    worst, all_messages, all_rejected = Level.OK, 0, 0
    for topic, messages, rejected, by_class in found:
        share = rejected / messages if messages else 0.0
        is_judged = messages >= rule.min_messages
        level = rising(share, rule.warn_share, rule.error_share) if is_judged and rejected else Level.OK
        worst, all_messages, all_rejected = max(worst, level), all_messages + messages, all_rejected + rejected
        classes = sorted(by_class.items(), key=lambda pair: -pair[1])
        rows.append(
            {
                "topic": topic,
                "messages": messages,
                "rejected": rejected,
                "rejected_share": round(share, 6),
                "is_judged": is_judged,
                "by_class": ", ".join(f"{name}: {count:,}" for name, count in classes[:10]),
            }
        )
    share = all_rejected / all_messages if all_messages else 0.0
    few = [str(row["topic"]) for row in rows if not row["is_judged"]]
    return Finding(
        worst,
        f"{all_rejected:,} of {all_messages:,} messages of the last {rule.window_hours} h were refused ({share:.2%})"
        + (f"; fewer than {rule.min_messages:,} came of {', '.join(few)}: not judged" if few else "")
        + ("" if rows else "; nothing came"),
        {
            "messages": all_messages,
            "rejected": all_rejected,
            "rejected_share": share,
            "window_hours": rule.window_hours,
            "min_messages": rule.min_messages,
            "warn_share": rule.warn_share,
            "error_share": rule.error_share,
        },
        rows,
    )


def _utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
