"""What all ways in share: the settings, the entrance, the room, the producer, the numbers. Made once a process.

In: Settings. Out: a Door whose parts are ready to use on the running event loop; `watch` looks after keys and gauges
until the process stops. Wrong settings and broken key files are a MeterhouseError.
"""

import asyncio
import time
from dataclasses import dataclass

from ingest.api.aliases import Rewriter
from ingest.api.entrance import Entrance
from ingest.api.judging import Judge
from ingest.api.keyring import Keyring, keys_path
from ingest.api.limiting import Rates, Room
from ingest.api.metrics import Metric, Metrics
from ingest.api.producing import DoorProducer
from ingest.api.signatures import SeenSignatures
from ingest.api.tokens import TokenRules, Tokens
from ingest.contracts.pseudonyms import Pseudonyms
from ingest.loader.streams import event_limits
from ingest.settings import Settings

WATCH_EVERY_S = 1.0
EVENTS_TOPIC = "agent_events"
OTLP_TOPICS = ("otlp_traces", "otlp_logs", "otlp_metrics")


@dataclass
class Door:
    """See the module."""

    settings: Settings
    metrics: Metrics
    entrance: Entrance
    room: Room
    producer: DoorProducer
    judge: Judge
    rewriter: Rewriter
    connections: "set[object]"
    is_stopping: bool = False

    @property
    def pseudonyms(self) -> Pseudonyms:
        return self.rewriter.pseudonyms

    def reasons_not_ready(self) -> list[str]:
        """Why a load balancer should send nothing here; empty: it may."""
        reasons = []
        if self.is_stopping:
            reasons.append("stopping")
        if not self.producer.is_answering:
            reasons.append("Kafka does not acknowledge")
        if self.producer.bytes > self.settings.api_queue_bytes * 0.9:
            reasons.append("the queue to Kafka is nearly full")
        if self.room.requests >= self.room.most_requests:
            reasons.append("as many requests as allowed are in work")
        return reasons

    def refresh_gauges(self) -> None:
        """What is told when somebody asks, not at each request."""
        settings, metrics, seen = self.settings, self.metrics, self.entrance.seen
        metrics.set(Metric.IN_WORK, self.room.requests)
        metrics.set(Metric.BODIES, self.room.bytes)
        metrics.set(Metric.BODIES_RATIO, self.room.bytes / self.room.most_bytes)
        metrics.set(Metric.QUEUE_MESSAGES, self.producer.messages)
        metrics.set(Metric.QUEUE_BYTES, self.producer.bytes)
        metrics.set(Metric.QUEUE_RATIO, self.producer.bytes / settings.api_queue_bytes)
        metrics.set(Metric.SIGNATURES, seen.count)
        metrics.set(Metric.SIGNATURES_RATIO, seen.count / settings.api_replay_entries)
        metrics.set(Metric.CONNECTIONS, len(self.connections))
        metrics.set(Metric.KEYS, len(self.entrance.keyring.file.keys))

    async def watch(self) -> None:
        """Keys that changed, Kafka that is away, signatures that are old: looked at every second, for ever."""
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            if self.entrance.keyring.refresh():
                self.rewriter.pseudonyms = Pseudonyms(self.entrance.keyring.file.identity_keys)
                self.entrance.tokens.use_own(self.entrance.keyring.file.token_key)
            self.entrance.seen.forget(time.time())
            if not self.producer.is_answering:
                self.producer.mend_soon()


def open_door(settings: Settings) -> Door:
    """All of it. Raises MeterhouseError."""
    metrics = Metrics()
    keyring = Keyring(keys_path(settings))
    rules = TokenRules(settings.api_jwt_issuer, settings.api_jwt_audience, settings.api_jwt_tenant_claim)
    tokens = Tokens(settings.api_jwks or "", rules, keyring.file.token_key)
    rates = Rates(
        key_events_per_s=settings.api_key_events_per_s, address_requests_per_s=settings.api_address_requests_per_s
    )
    seen = SeenSignatures(settings.api_signature_window_s, settings.api_replay_entries)
    rewriter = Rewriter(Pseudonyms(keyring.file.identity_keys))
    return Door(
        settings=settings,
        metrics=metrics,
        entrance=Entrance(keyring, tokens, seen, rates),
        room=Room(requests=settings.api_max_requests, body_bytes=settings.api_body_memory_bytes),
        producer=DoorProducer(settings, [settings.topic(name) for name in (EVENTS_TOPIC, *OTLP_TOPICS)], metrics),
        judge=Judge(event_limits(settings), rewriter),
        rewriter=rewriter,
        connections=set(),
    )
