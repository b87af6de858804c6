"""POST /v1/events: a signed batch of canonical events, acknowledged once Kafka has every accepted one.

In: the body as it was sent and who sent it. Out: Outcome, with a refusal for each event that is not taken; a Refusal
for the request as a whole. Nothing is acknowledged that Kafka has not.
"""

import time
from dataclasses import dataclass

from ingest.api.batches import split
from ingest.api.bodies import Budget, unpack
from ingest.api.credential import Credential
from ingest.api.door import EVENTS_TOPIC, Door
from ingest.api.judging import Judged, RefusedEvent
from ingest.api.metrics import Metric

WAY = "events"
FOREIGN = ("wrong_workspace", "wrong_environment")
"""Error classes of the door itself: the credential does not reach so far."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many were taken, and why each other was not."""

    accepted: int
    refused: list[RefusedEvent]

    @property
    def status(self) -> int:
        """200 where anything was taken; 403 where all are of another workspace or environment; else 400."""
        if self.accepted:
            return 200
        return 403 if all(one.error_class in FOREIGN for one in self.refused) else 400


async def take_events(
    door: Door, credential: Credential, body: bytes, *, media_type: str, encoding: str, budget: Budget
) -> Outcome:
    """The whole way of a batch. Raises Refusal."""
    settings = door.settings
    unpacked = unpack(body, encoding, budget, limit=settings.api_max_unpacked_bytes)
    events = split(unpacked, media_type, credential.workspace_id, settings.api_max_events)
    door.entrance.rates.admit_events(credential, len(events))
    judged = await door.judge.judge(unpacked, events, credential, time.time_ns() // 1_000_000)
    await door.producer.send(settings.topic(EVENTS_TOPIC), credential.workspace_id.encode(), judged.messages)
    count(door, judged)
    return Outcome(len(judged.messages), judged.refused)


def count(door: Door, judged: Judged) -> None:
    """The batch in numbers."""
    metrics = door.metrics
    metrics.count(Metric.ACCEPTED, len(judged.messages), WAY)
    if not judged.careful:
        return
    metrics.count(Metric.CAREFUL, judged.careful)
    for one in judged.refused:
        metrics.count(Metric.REFUSED, 1, WAY, one.error_class)
    for rule, hits in judged.dropped.items():
        metrics.count(Metric.DROPPED, hits, WAY, rule)
    for alias, hits in judged.aliases.items():
        metrics.count(Metric.ALIASES, hits, alias)
    for name, hits in judged.unknown.items():
        metrics.count_name(name, hits)
