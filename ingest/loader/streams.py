"""The streams this loader knows: topic, dead letters, table, decoder. A new one is a decoder and a function here."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from ingest.contracts.outcome import EventLimits
from ingest.errors import SettingsError
from ingest.loader.decode import AgentEventDecoder
from ingest.loader.otlp import OtlpDecoder
from ingest.loader.run import Stream
from ingest.settings import Settings
from ingest.signals import SIGNALS, TABLES, Signal, topics_of

_TIMES: Final[Mapping[Signal, str]] = {"traces": "Timestamp", "logs": "Timestamp", "metrics": "TimeUnix"}


def all_streams(settings: Settings) -> list[Stream]:
    """Every stream the settings name. Raises SettingsError where a topic is named for two kinds of messages."""
    streams = [*agent_events(settings), *otlp(settings)]
    topic, hits = Counter(stream.topic for stream in streams).most_common(1)[0]
    if hits > 1:
        raise SettingsError(
            f"Topic {topic} is named {hits} times by METERHOUSE_AGENT_EVENT_TOPICS, METERHOUSE_OTLP_TRACES_TOPICS, "
            "METERHOUSE_OTLP_LOGS_TOPICS and METERHOUSE_OTLP_METRICS_TOPICS: a topic holds messages of one kind. Name "
            "it once and start again."
        )
    return streams


def agent_events(settings: Settings) -> list[Stream]:
    """One stream for each topic of canonical events; all land in raw.agent_events."""
    decoder = AgentEventDecoder(event_limits(settings))
    return [
        Stream(
            name="agent_events",
            topic=settings.topic(name),
            dead_letter_topic=settings.topic(f"{name}.dlq"),
            table=f"{settings.database('raw')}.agent_events",
            decoder=decoder,
        )
        for name in settings.agent_event_topics
    ]


def otlp(settings: Settings) -> list[Stream]:
    """One stream for each topic of OTLP; a signal's topics land in the same tables."""
    streams = []
    for signal in SIGNALS:
        decoder = OtlpDecoder(
            signal, event_limits(settings), max_bytes=settings.otlp_max_bytes, workspace=settings.otlp_workspace
        )
        streams += [
            Stream(
                name=f"otlp_{signal}",
                topic=topic,
                dead_letter_topic=f"{topic}.dlq",
                table=f"{settings.database('raw')}.{TABLES[signal][0]}",
                decoder=decoder,
                time_column=_TIMES[signal],
                has_headers=True,
                salvage=decoder.salvage,
            )
            for topic in topics_of(settings, signal)
        ]
    return streams


def event_limits(settings: Settings) -> EventLimits:
    """The contract's limits as the settings give them."""
    return EventLimits(
        max_age_ms=round(settings.event_max_age_days * 86_400_000),
        max_future_ms=round(settings.event_max_future_s * 1_000),
        max_event_bytes=settings.event_max_bytes,
    )
