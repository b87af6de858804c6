"""What Meterhouse asks of a Kafka cluster apart from reading and writing: topics, their ids, how far they reach.

In: bootstrap servers and librdkafka options as plain values. Out: plain, frozen values. Every call has a deadline; a
broker that is away, forbids or rejects raises KafkaUnavailableError with one sentence, a wrong option SettingsError.
Works on Apache Kafka 3+ and on the embedded broker, whose differences are dealt with here and nowhere else.
"""

import base64
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeVar

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.cimpl import NewTopic

from ingest.errors import MeterhouseError
from ingest.kafka_errors import (
    Complaints,
    ErrorLog,
    KafkaProblem,
    KafkaUnavailableError,
    explain,
    is_leaderless,
    no_answer,
    wrong_option,
)
from ingest.kafka_options import Options, admin_config, consumer_config, producer_config

__all__ = [
    "Cluster",
    "KafkaAdmin",
    "KafkaProblem",
    "KafkaUnavailableError",
    "TopicDescription",
    "TopicSpec",
    "Watermarks",
    "consumer_config",
    "explain",
    "lag",
    "open_consumer",
    "open_producer",
    "producer_config",
]

ErrorCallback = Callable[[KafkaError], None]
CommitCallback = Callable[[KafkaError | None, list[TopicPartition]], None]
_T = TypeVar("_T")

_NO_TOPIC_ID = uuid.UUID(int=0)
# The namespace of ids made up for brokers without topic ids; random, fixed for good.
_FALLBACK_NAMESPACE = uuid.UUID("6f5bb3e0-6a1e-4f5e-9d57-0d6a7f3d2f11")


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it should be made. `config` are topic settings such as retention.ms."""

    name: str
    partitions: int
    replication: int = 1
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TopicDescription:
    """A topic as it is. `topic_id` is new for every creation of the name; `has_broker_id` is False where the broker
    has no such ids and it was derived from cluster and name, so that a recreation cannot be told."""

    name: str
    topic_id: uuid.UUID
    partitions: tuple[int, ...]
    has_broker_id: bool = True


@dataclass(frozen=True, slots=True)
class Watermarks:
    """The offsets a partition holds: from `low`, up to but without `high`."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """Who answered."""

    cluster_id: str
    brokers: tuple[str, ...]
    topics: tuple[str, ...]


def lag(next_offset: int, high: int) -> int:
    """Messages still to be read. Never below zero: a watermark may be older than what was read."""
    return max(0, high - next_offset)


def open_consumer(
    config: Options, error_cb: ErrorCallback | None = None, on_commit: CommitCallback | None = None
) -> Consumer:
    """A Consumer; `on_commit` hears what became of asynchronous commits.

    Raises SettingsError for an option that librdkafka does not know or whose value it rejects.
    """
    callbacks = {"error_cb": error_cb or ErrorLog(), **({"on_commit": on_commit} if on_commit else {})}
    try:
        return Consumer({**config, **callbacks})
    except KafkaException as error:
        raise wrong_option(error) or explain(error, str(config.get("bootstrap.servers"))) from error


def open_producer(config: Options, error_cb: ErrorCallback | None = None) -> Producer:
    """A Producer. Raises SettingsError as above."""
    try:
        return Producer({**config, "error_cb": error_cb or ErrorLog()})
    except KafkaException as error:
        raise wrong_option(error) or explain(error, str(config.get("bootstrap.servers"))) from error


class KafkaAdmin:
    """A connection for administration; use it in a `with`. Not for more than one thread at a time."""

    def __init__(self, bootstrap: str, options: Mapping[str, str], *, timeout_s: float = 10.0) -> None:
        self.bootstrap = bootstrap
        self.timeout_s = timeout_s
        self._complaints = Complaints()
        self._config: Options = admin_config(bootstrap, options)
        try:
            self._client = AdminClient({**self._config}, error_cb=self._complaints)
        except KafkaException as error:
            raise wrong_option(error) or explain(error, bootstrap) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drops the client; confluent_kafka has no close of its own for it."""
        if hasattr(self, "_client"):
            del self._client

    def cluster(self) -> Cluster:
        """A metadata round trip: the health check by protocol."""
        try:
            metadata = self._client.list_topics(timeout=self.timeout_s)
        except KafkaException as error:
            raise self._explained(error, "asking for its topics") from error
        return Cluster(
            cluster_id=metadata.cluster_id or "",
            brokers=tuple(f"{broker.host}:{broker.port}" for broker in metadata.brokers.values()),
            topics=tuple(sorted(metadata.topics)),
        )

    def describe(self, names: Iterable[str]) -> dict[str, TopicDescription]:
        """The topics that exist among `names`; a missing one is left out, and is not created by asking."""
        wanted = sorted(set(names))
        if not wanted:
            return {}
        futures = self._client.describe_topics(TopicCollection(wanted), request_timeout=self.timeout_s)
        found = {}
        for name, future in futures.items():
            try:
                described = self._result(future)
            except KafkaException as error:
                if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    continue
                raise self._explained(error, f"describing topic {name}") from error
            topic_id = _to_uuid(str(described.topic_id)) if described.topic_id is not None else _NO_TOPIC_ID
            has_id = topic_id != _NO_TOPIC_ID
            found[name] = TopicDescription(
                name=name,
                topic_id=topic_id if has_id else uuid.uuid5(_FALLBACK_NAMESPACE, f"{self.cluster().cluster_id}/{name}"),
                partitions=tuple(sorted(partition.id for partition in described.partitions)),
                has_broker_id=has_id,
            )
        return found

    def ensure_topics(self, specs: Iterable[TopicSpec]) -> list[str]:
        """Creates what is missing and waits until the cluster knows it; returns the names created.

        A topic that exists stays as it is, whatever its partitions. Two processes at once are fine.
        """
        wanted = {spec.name: spec for spec in specs}
        missing = [wanted[name] for name in sorted(wanted.keys() - self.describe(wanted).keys())]
        if not missing:
            return []
        new = [NewTopic(one.name, one.partitions, one.replication, config=dict(one.config)) for one in missing]
        futures = self._client.create_topics(new, operation_timeout=self.timeout_s, request_timeout=self.timeout_s + 5)
        created = []
        for name, future in futures.items():
            try:
                self._result(future, self.timeout_s + 5)
                created.append(name)
            except KafkaException as error:
                if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                    continue
                raise self._creation_error(error, wanted[name]) from error
        self._wait_known([spec.name for spec in missing])
        return sorted(created)

    def delete_topics(self, names: Iterable[str]) -> None:
        """Deletes topics with all they hold; one that is not there is no error."""
        wanted = sorted(set(names))
        if not wanted:
            return
        futures = self._client.delete_topics(wanted, operation_timeout=self.timeout_s)
        for name, future in futures.items():
            try:
                self._result(future)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise self._explained(error, f"deleting topic {name}") from error

    def group_members(self, group: str) -> int:
        """How many members a consumer group has, those that are joining included; the embedded broker lists none."""
        future = self._client.describe_consumer_groups([group], request_timeout=self.timeout_s)[group]
        try:
            return len(self._result(future).members)
        except KafkaException as error:
            raise self._explained(error, f"asking who is in group {group}") from error

    def delete_group(self, group: str) -> None:
        """Deletes a consumer group without members and its committed offsets; one that is not there is no error."""
        future = self._client.delete_consumer_groups([group], request_timeout=self.timeout_s)[group]
        try:
            self._result(future)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
                raise self._explained(error, f"deleting group {group}") from error

    def watermarks(self, names: Iterable[str]) -> dict[tuple[str, int], Watermarks]:
        """Low and high offset of every partition of the existing topics among `names`; by (topic, partition).

        The high one is taken from a Fetch answer: the embedded broker's ListOffsets counts a last batch of many
        messages as one, and only Fetch tells the truth there. On Apache Kafka both agree.
        """
        partitions = [
            TopicPartition(topic.name, partition)
            for topic in self.describe(names).values()
            for partition in topic.partitions
        ]
        if not partitions:
            return {}
        low = self._list_offsets(partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        listed = self._list_offsets(partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        high = self._fetched_high(listed)
        return {key: Watermarks(low[key], max(high[key], listed[key])) for key in listed}

    def _list_offsets(self, partitions: list[TopicPartition], spec: OffsetSpec) -> dict[tuple[str, int], int]:
        offsets: dict[tuple[str, int], int] = {}
        deadline = time.monotonic() + self.timeout_s
        remaining = partitions
        while remaining:
            futures = self._client.list_offsets(
                dict.fromkeys(remaining, spec),
                request_timeout=self.timeout_s,
                isolation_level=IsolationLevel.READ_UNCOMMITTED,
            )
            remaining = []
            for partition, future in futures.items():
                try:
                    offsets[partition.topic, partition.partition] = int(self._result(future).offset)
                except KafkaException as error:
                    # A partition just made, or moving, has no leader for a moment.
                    if not is_leaderless(error.args[0]) or time.monotonic() > deadline:
                        where = f"asking for the offsets of {partition.topic}[{partition.partition}]"
                        raise self._explained(error, where) from error
                    remaining.append(partition)
            if remaining:
                time.sleep(0.05)
        return offsets

    def _fetched_high(self, start: Mapping[tuple[str, int], int]) -> dict[tuple[str, int], int]:
        consumer = open_consumer(
            {
                **self._config,
                # Never joined: librdkafka wants a group's name to make a consumer at all.
                "group.id": "meterhouse-watermarks",
                "enable.auto.commit": "false",
                "auto.offset.reset": "error",
                "fetch.wait.max.ms": "10",
                "max.partition.fetch.bytes": "1024",
                "queued.min.messages": "1",
            },
            self._complaints,
        )
        high: dict[tuple[str, int], int] = {}
        deadline = time.monotonic() + self.timeout_s
        try:
            consumer.assign([TopicPartition(topic, number, offset) for (topic, number), offset in start.items()])
            while len(high) < len(start):
                if time.monotonic() > deadline:
                    waiting = sorted(f"{topic}[{number}]" for topic, number in start.keys() - high.keys())
                    cause = no_answer("no answer to a fetch")
                    raise explain(cause, self.bootstrap, self._complaints, doing=f"reading {', '.join(waiting[:5])}")
                consumer.consume(1000, timeout=0.01)
                for topic, number in start.keys() - high.keys():
                    cached = consumer.get_watermark_offsets(TopicPartition(topic, number), cached=True)
                    if cached is not None and cached[1] >= 0:
                        high[topic, number] = cached[1]
        except KafkaException as error:
            raise self._explained(error, "asking for watermarks") from error
        finally:
            consumer.close()
        return high

    def _wait_known(self, names: list[str]) -> None:
        deadline = time.monotonic() + self.timeout_s
        while unknown := set(names) - self.describe(names).keys():
            if time.monotonic() > deadline:
                raise MeterhouseError(
                    f"Kafka at {self.bootstrap} created {', '.join(sorted(unknown))} but does not list it after "
                    f"{self.timeout_s:g} s: look at the brokers' logs, then run this again."
                )
            time.sleep(0.05)

    def _creation_error(self, error: KafkaException, spec: TopicSpec) -> MeterhouseError:
        cause = error.args[0]
        if cause.code() == KafkaError.INVALID_REPLICATION_FACTOR:
            return MeterhouseError(
                f"Kafka at {self.bootstrap} cannot keep {spec.replication} copies of topic {spec.name} "
                f"({cause.str()}): set METERHOUSE_KAFKA_REPLICATION to at most the number of brokers."
            )
        return self._explained(error, f"creating topic {spec.name} with {spec.partitions} partitions")

    def _result(self, future: "Future[_T]", timeout_s: float | None = None) -> _T:
        try:
            # The client's own deadline comes first; this one is for a client that fails to keep it.
            return future.result((timeout_s or self.timeout_s) + 1)
        except FutureTimeoutError:
            raise KafkaException(no_answer("no answer in time")) from None

    def _explained(self, error: KafkaException, doing: str) -> KafkaUnavailableError:
        self._client.poll(0.1)  # serves the error callback, which knows the cause
        return explain(error, self.bootstrap, self._complaints, doing=doing)


def _to_uuid(text: str) -> uuid.UUID:
    # librdkafka prints ids in base64 without padding; Kafka's own tools use the URL-safe alphabet for the same.
    standard = text.replace("-", "+").replace("_", "/")
    return uuid.UUID(bytes=base64.b64decode(standard + "=" * (-len(standard) % 4)))
