"""librdkafka configurations from plain values.

In: the bootstrap servers, the user's own librdkafka settings (METERHOUSE_KAFKA_OPTIONS), and what the client is for.
Out: a dict for confluent_kafka. The user's settings pass through untouched; the few that Meterhouse's guarantees stand
on may be repeated but not changed: another value raises SettingsError that names the setting and the reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ingest.errors import SettingsError

Options = dict[str, str]

# The embedded broker holds a JoinGroup for half the session timeout: measured 23 s with librdkafka's 45 s, 3 s with 6.
EMBEDDED_SESSION_TIMEOUT_MS = 6_000


@dataclass(frozen=True, slots=True)
class Essential:
    """A setting that is ours, and why."""

    name: str
    value: str
    why: str


_BOOTSTRAP_WHY = "the brokers are chosen by METERHOUSE_KAFKA_BOOTSTRAP"

CONSUMER_ESSENTIALS = (
    Essential("enable.auto.commit", "false", "offsets are committed only after ClickHouse has the rows"),
    Essential("enable.auto.offset.store", "false", "offsets are committed only after ClickHouse has the rows"),
    Essential("auto.offset.reset", "error", "a gap in a topic must be seen, not skipped"),
    Essential("isolation.level", "read_committed", "messages of an aborted transaction must not land"),
    Essential("allow.auto.create.topics", "false", "topics are created with the partitions the settings ask for"),
)
PRODUCER_ESSENTIALS = (
    Essential("enable.idempotence", "true", "a retried message must not appear twice"),
    Essential("acks", "all", "a message counts as sent only when every in-sync replica has it"),
)


def admin_config(bootstrap: str, options: Mapping[str, str]) -> Options:
    """For administration and look-ups: connection and security settings of the user, nothing else."""
    return _build(bootstrap, options, defaults={}, essentials=())


def consumer_config(
    bootstrap: str,
    options: Mapping[str, str],
    *,
    group: str,
    assignor: str = "range",
    embedded: bool = False,
    client_id: str = "meterhouse",
) -> Options:
    """For a member of `group`. `embedded` shortens the session so that the embedded broker assigns within seconds.

    Raises SettingsError when `options` changes an essential.
    """
    defaults = {"client.id": client_id}
    if embedded:
        defaults |= {"session.timeout.ms": str(EMBEDDED_SESSION_TIMEOUT_MS), "heartbeat.interval.ms": "1500"}
    essentials = (
        Essential("group.id", group, "the group is chosen by METERHOUSE_CONSUMER_GROUP"),
        Essential("partition.assignment.strategy", assignor, "the assignor is chosen by METERHOUSE_PARTITION_ASSIGNOR"),
        *CONSUMER_ESSENTIALS,
    )
    return _build(bootstrap, options, defaults=defaults, essentials=essentials)


def producer_config(bootstrap: str, options: Mapping[str, str], *, client_id: str = "meterhouse") -> Options:
    """For a producer whose every acknowledged message is on the broker, once. Raises SettingsError as above."""
    defaults = {
        "client.id": client_id,
        "compression.type": "lz4",
        "linger.ms": "5",
        # A producer that cannot send says so within this time instead of librdkafka's five minutes.
        "delivery.timeout.ms": "60000",
    }
    return _build(bootstrap, options, defaults=defaults, essentials=PRODUCER_ESSENTIALS)


def _build(
    bootstrap: str, options: Mapping[str, str], *, defaults: Mapping[str, str], essentials: tuple[Essential, ...]
) -> Options:
    # librdkafka knows two names for a few settings; an alias must not slip past the check or lose to a default.
    given = {_canonical(name): value for name, value in options.items()}
    for essential in (Essential("bootstrap.servers", bootstrap, _BOOTSTRAP_WHY), *essentials):
        came = given.get(essential.name)
        if came is not None and came.strip().lower() != essential.value.lower() and not _same(essential, came):
            raise SettingsError(
                f"METERHOUSE_KAFKA_OPTIONS sets {essential.name}={came}, but Meterhouse needs {essential.value}: "
                f"{essential.why}. Remove it from METERHOUSE_KAFKA_OPTIONS."
            )
    fixed = {essential.name: essential.value for essential in essentials}
    # librdkafka's own lines on stderr are off: errors come by callback or as a sentence.
    return {"log_level": "0", **defaults, **given, "bootstrap.servers": bootstrap, **fixed}


_ALIASES = {
    "metadata.broker.list": "bootstrap.servers",
    "request.required.acks": "acks",
    "queue.buffering.max.ms": "linger.ms",
    "message.timeout.ms": "delivery.timeout.ms",
    "compression.codec": "compression.type",
}
_SPELLINGS = {"acks": {"all", "-1"}, "enable.idempotence": {"true", "1", "t"}}


def _canonical(name: str) -> str:
    return _ALIASES.get(name, name)


def _same(essential: Essential, came: str) -> bool:
    return came.strip().lower() in _SPELLINGS.get(essential.name, set())
