"""The streams this loader knows: topic, dead letters, table, decoder. A new one is a decoder and a function here."""

from ingest.contracts.outcome import EventLimits
from ingest.loader.decode import AgentEventDecoder
from ingest.loader.run import Stream
from ingest.settings import Settings


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


def event_limits(settings: Settings) -> EventLimits:
    """The contract's limits as the settings give them."""
    return EventLimits(
        max_age_ms=round(settings.event_max_age_days * 86_400_000),
        max_future_ms=round(settings.event_max_future_s * 1_000),
        max_event_bytes=settings.event_max_bytes,
    )
