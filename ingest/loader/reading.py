"""How the loader's consumer reads: librdkafka's settings, and how long its group may take to let it in.

In: Settings. Out: a configuration for `open_consumer`; seconds. METERHOUSE_KAFKA_OPTIONS wins over what is only a
matter of speed here; what the guarantees stand on is kept by ingest/kafka_options.py.
"""

from collections.abc import Mapping
from typing import Final

from ingest.kafka_options import Options, consumer_config
from ingest.settings import Settings

# librdkafka reads ahead into a queue of its own; bounded so that the process is, whatever the backlog.
_READ_AHEAD_KB: Final = 16_384
# Once that queue was full, librdkafka looks again only after so long. With its default of a second it lay empty most
# of the time and so did two thirds of the machine: 30,000 events a second, with this more than twice as many.
_LOOK_AGAIN_MS: Final = 10
_CLIENT_SESSION_MS: Final = 45_000
# The embedded broker holds a join for half a session and was seen to take nearly two: 11 s with sessions of 6 s. Who
# loses patience earlier deletes the group under the members that are about to be let in, for ever.
_SESSIONS: Final = 2.5


def consumer_options(settings: Settings) -> Options:
    """For the loader's member of METERHOUSE_CONSUMER_GROUP."""
    ahead: dict[str, str] = {
        "queued.max.messages.kbytes": str(_READ_AHEAD_KB),
        "queued.min.messages": "100000",
        "fetch.message.max.bytes": str(8 << 20),
        "fetch.queue.backoff.ms": str(_LOOK_AGAIN_MS),
        # A broker that has not answered for so long will not: librdkafka's own minute is longer than a stop may take.
        "socket.timeout.ms": "15000",
    }
    options = consumer_config(
        settings.bootstrap,
        settings.kafka_options,
        group=settings.consumer_group,
        assignor=settings.partition_assignor,
        embedded=settings.is_kafka_embedded,
    )
    return {**ahead, **options, "enable.partition.eof": "true"}


def group_patience_s(options: Mapping[str, str]) -> float:
    """Seconds a member waits for its first assignment before the group is looked after."""
    return int(options.get("session.timeout.ms", _CLIENT_SESSION_MS)) / 1000 * _SESSIONS
