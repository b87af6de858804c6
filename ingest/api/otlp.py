"""An OTLP export, whichever way it came: scrubbed, checked against the credential, to Kafka as one message a request.

In: a signal, the request's protobuf bytes, who sent it. Out: Taken, with how many spans, records or points were
refused and a sentence why; a Refusal for the request as a whole. A request above the message limit is split at its
resources, scopes and items; all pieces are acknowledged before the answer. Nothing is acknowledged that Kafka has not.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from ingest.api.credential import Credential
from ingest.api.door import Door
from ingest.api.metrics import Metric
from ingest.api.refusal import Refusal
from ingest.contracts.otlp_bytes import LookAtResource, Objection, Scrubbed, UnreadableError, scrub_bytes
from ingest.contracts.otlp_pieces import pieces
from ingest.signals import Signal

WORKSPACE_ATTRIBUTES: Final = ("meterhouse.workspace_id", "workspace.id", "workspace_id", "tenant.id")
ENVIRONMENT_ATTRIBUTES: Final = ("deployment.environment.name", "deployment.environment")
_IN_A_THREAD_ABOVE_BYTES: Final = 1 << 19
_SENTENCES: Final[dict[Objection, str]] = {
    "wrong_workspace": "their resource names another workspace than the credential's",
    "wrong_environment": "their resource names an environment that the credential is not for",
    "bad_identifier": "their trace id is not 16 bytes, or their span id not 8, or one of them is all zeros",
}
_FOREIGN: Final = frozenset(("wrong_workspace", "wrong_environment"))
_UNITS: Final[dict[Signal, str]] = {"traces": "spans", "logs": "log records", "metrics": "data points"}


@dataclass(frozen=True, slots=True)
class Taken:
    """`why` is '' where nothing was refused."""

    accepted: int
    refused: int = 0
    why: str = ""


async def take_export(door: Door, credential: Credential, signal: Signal, wire: bytes) -> Taken:
    """The whole way of an export. Raises Refusal."""
    settings = door.settings
    counts: dict[str, int] = {}
    try:
        if len(wire) > _IN_A_THREAD_ABOVE_BYTES:  # tens of milliseconds: others go on meanwhile
            scrubbed = await asyncio.to_thread(_scrub, door, credential, signal, wire, counts)
        else:
            scrubbed = _scrub(door, credential, signal, wire, counts)
    except UnreadableError as error:
        raise Refusal(400, "malformed_otlp", str(error)) from None
    door.entrance.rates.admit_events(credential, scrubbed.items + sum(scrubbed.refused.values()))
    values, too_large = pieces(signal, scrubbed.wire, settings.api_message_bytes)
    accepted = scrubbed.items - too_large
    if accepted > 0:
        headers = [("meterhouse-workspace", credential.workspace_id.encode()), _CONTENT_TYPE]
        if credential.only_environment is not None:
            headers.append(("meterhouse-environment", credential.only_environment.encode()))
        topic = settings.topic(f"otlp_{signal}")
        await door.producer.send(topic, credential.workspace_id.encode(), values, headers)
    _count(door, signal, accepted, too_large, scrubbed, counts)
    taken = Taken(accepted, too_large + sum(scrubbed.refused.values()), " ".join(_why(signal, scrubbed, too_large)))
    if taken.refused and not taken.accepted:
        # OTLP's partial success is for a part: where nothing was taken, sending it again must not look like success.
        raise Refusal(403 if _FOREIGN & scrubbed.refused.keys() else 400, "nothing_taken", taken.why)
    return taken


_CONTENT_TYPE: Final = ("content-type", b"application/x-protobuf")


def _scrub(door: Door, credential: Credential, signal: Signal, wire: bytes, counts: dict[str, int]) -> Scrubbed:
    return scrub_bytes(signal, wire, counts, door.pseudonyms, credential.workspace_id, _looker(credential))


def _looker(credential: Credential) -> LookAtResource:
    def look(resource: Resource) -> Objection | None:
        for attribute in resource.attributes:
            if attribute.key in WORKSPACE_ATTRIBUTES and _text(attribute.value) not in ("", credential.workspace_id):
                return "wrong_workspace"
            if attribute.key in ENVIRONMENT_ATTRIBUTES and not credential.may_name(_text(attribute.value)):
                return "wrong_environment"
        return None

    return look


def _text(value: AnyValue) -> str:
    kind = value.WhichOneof("value")
    return "" if kind is None else str(getattr(value, kind))


def _why(signal: Signal, scrubbed: Scrubbed, too_large: int) -> Iterator[str]:
    for objection, number in scrubbed.refused.items():
        yield f"{number} {_UNITS[signal]} refused: {_SENTENCES[objection]}."
    if too_large:
        yield f"{too_large} {_UNITS[signal]} refused: one alone is larger than a message may be."


def _count(
    door: Door, signal: Signal, accepted: int, too_large: int, scrubbed: Scrubbed, counts: dict[str, int]
) -> None:
    metrics = door.metrics
    metrics.count(Metric.ACCEPTED, accepted, signal)
    if too_large:
        metrics.count(Metric.REFUSED, too_large, signal, "too_large")
    for objection, number in scrubbed.refused.items():
        metrics.count(Metric.REFUSED, number, signal, objection)
    for rule, hits in counts.items():
        metrics.count(Metric.DROPPED, hits, signal, rule)
