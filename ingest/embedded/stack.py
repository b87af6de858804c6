"""`meterhouse up`: the embedded engine and broker in the background, with tables and topics made.

In: Settings. Out: running parts under settings.home. What the user has elsewhere (METERHOUSE_CLICKHOUSE_URL,
METERHOUSE_KAFKA_BOOTSTRAP) is not started, but its tables and topics are made all the same. Further parts, such as the
loader, are Part values given to `Stack(settings, extra=...)`.
"""

import http.client
import json
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import SecretStr

from ingest.embedded.parts import Keeper, Part, PartState, Say
from ingest.embedded.processes import METERHOUSE
from ingest.errors import MeterhouseError
from ingest.settings import Settings

# One topic a stream and its dead letters.
STREAMS = ("agent_events", "otlp_traces", "otlp_logs", "otlp_metrics")
TOPICS = tuple(f"{stream}{end}" for stream in STREAMS for end in ("", ".dlq"))
HOST = "127.0.0.1"


class Stack:
    """The parts that these settings need. As a context manager it stops at the end what it started itself."""

    def __init__(
        self,
        settings: Settings,
        *,
        say: Say = lambda _: None,
        extra: Sequence[Part] = (),
        topics: Sequence[str] = TOPICS,
    ) -> None:
        self.settings = settings
        self.keeper = Keeper(settings.home, say)
        self.say = say
        self.topics = tuple(topics)
        self.base = tuple(embedded_parts(settings))
        self.extra = tuple(extra)
        self._started: list[str] = []

    @property
    def parts(self) -> tuple[Part, ...]:
        return (*self.base, *self.extra)

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.keeper.stop(self._started)
        self._started = []

    def up(self) -> list[str]:
        """Starts what is missing, migrates, makes the topics, then starts the extra parts; returns what it started.

        Safe to repeat. What ran before stays when this fails; what this call brought up does not stay half made.
        """
        started = self.keeper.start(self.base)
        try:
            self.migrate()
            self.ensure_topics()
            started += self.keeper.start(self.extra)
        except BaseException:
            self.keeper.stop(started)
            raise
        self._started += started
        return started

    def down(self) -> list[str]:
        """Stops every part that is remembered, whoever started it; returns their names.

        The embedded broker forgets what it holds: how much of that had not landed is said, after the loader has had
        its chance to land it.
        """
        self._started = []
        remembered = self.keeper.remembered()
        stopped = self.keeper.stop([name for name in remembered if name not in ("engine", "broker")])
        broker = remembered.get("broker")
        if broker is not None and self.keeper.is_alive(broker):
            self._say_what_is_lost()
        return stopped + self.keeper.stop()

    def _say_what_is_lost(self) -> None:
        from ingest.embedded.report import collect

        for line in collect(self.settings).topics:
            if line.topic.endswith(".dlq") or line.lag == 0 or line.messages == 0:
                continue
            lost = "It is not known how many" if line.lag is None else f"{line.lag:,}"
            self.say(
                f"{lost} of {line.messages:,} messages of {line.topic} had not landed; they went with the embedded "
                "broker's memory. `meterhouse load --drain` before `meterhouse down` lands them"
            )

    def states(self) -> list[PartState]:
        return [self.keeper.state(part) for part in self.parts]

    def migrate(self) -> None:
        """Applies the raw and ops tables."""
        from ingest.schema.engines import Layout
        from ingest.schema.migrate import migrate
        from ingest.warehouse import connect

        settings = self.settings
        client = connect(
            settings.clickhouse,
            connect_timeout_s=settings.clickhouse_connect_timeout_s,
            request_timeout_s=settings.clickhouse_request_timeout_s,
        )
        try:
            layout = Layout(settings.database_prefix, settings.clickhouse_cluster, settings.retention_days)
            migrate(client, layout, say=self.say)
        finally:
            client.close()

    def ensure_topics(self) -> None:
        """Makes the streams' topics where they are missing."""
        from ingest.kafka import KafkaAdmin, TopicSpec

        settings = self.settings
        specs = [
            TopicSpec(settings.topic(name), settings.kafka_partitions, settings.kafka_replication)
            for name in self.topics
        ]
        with KafkaAdmin(settings.bootstrap, settings.kafka_options) as admin:
            created = admin.ensure_topics(specs)
        self.say(f"topics: created {', '.join(created)}" if created else "topics: all there")


def embedded_parts(settings: Settings) -> list[Part]:
    """The engine and the broker, each only where the user has none of his own."""
    parts = []
    if settings.is_clickhouse_embedded:
        parts.append(_engine(settings))
    if settings.is_kafka_embedded:
        parts.append(_broker(settings))
    return parts


def data_folder(settings: Settings) -> Path:
    """Where the embedded engine keeps its data."""
    return settings.home.absolute() / "clickhouse"


def loader_part(settings: Settings) -> Part:
    """The loader as a part of the stack; healthy when its /readyz says so."""
    address = f"http://{settings.metrics_host}:{settings.metrics_port}"
    if settings.metrics_port == 0:
        raise MeterhouseError(
            "The stack asks the loader for its health on a fixed port: set METERHOUSE_METRICS_PORT to one above 0."
        )
    return Part(
        name="loader",
        argv=(*METERHOUSE, "load"),
        address=address,
        host=settings.metrics_host,
        port=settings.metrics_port,
        port_variable="METERHOUSE_METRICS_PORT",
        is_healthy=lambda: answers_ok(f"{address}/readyz"),
        env=environment(settings),
        # Of several processes the command ends those that do not end by themselves, and then itself.
        stop_within_s=settings.drain_deadline_s + 20,
    )


def environment(settings: Settings) -> dict[str, str]:
    """What was set, as variables for a part that reads its settings itself; it may have come by argument here."""
    variables = {}
    for name in sorted(settings.model_fields_set):
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        elif isinstance(value, Path):
            value = value.absolute()
        elif isinstance(value, tuple):
            value = ",".join(value)
        if value is not None:
            variables[f"METERHOUSE_{name.upper()}"] = json.dumps(value) if isinstance(value, dict) else str(value)
    return variables


def _engine(settings: Settings) -> Part:
    port = settings.embedded_clickhouse_port
    address = f"http://{HOST}:{port}"
    path = str(data_folder(settings))
    return Part(
        name="engine",
        argv=(sys.executable, "-m", "ingest.embedded.clickhouse", "--path", path, "--port", str(port)),
        address=address,
        port=port,
        port_variable="METERHOUSE_EMBEDDED_CLICKHOUSE_PORT",
        is_healthy=lambda: answers_ok(f"{address}/ping"),
    )


def _broker(settings: Settings) -> Part:
    port = settings.embedded_kafka_port
    address = f"{HOST}:{port}"
    return Part(
        name="broker",
        argv=(sys.executable, "-m", "ingest.embedded", "kafka", "--port", str(port)),
        address=address,
        port=port,
        port_variable="METERHOUSE_EMBEDDED_KAFKA_PORT",
        is_healthy=lambda: answers_kafka(address),
    )


def answers_ok(url: str, timeout_s: float = 2.0) -> bool:
    """Whether an HTTP GET answers 200."""
    return asked(url, timeout_s) == 200


def asked(url: str, timeout_s: float = 2.0) -> int:
    """The status of a GET; 0 where nobody answers, or not in HTTP."""
    # A certificate names the host that clients use, which need not be this one; who it is, its pid says.
    context = ssl._create_unverified_context() if url.startswith("https") else None  # noqa: S323, SLF001
    # No proxy of the environment: these are addresses on this machine.
    handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)]
    try:
        with urllib.request.build_opener(*handlers).open(url, timeout=timeout_s) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, http.client.HTTPException):  # nobody, or somebody who does not speak HTTP
        return 0


def answers_kafka(bootstrap: str, timeout_s: float = 2.0, options: Mapping[str, str] | None = None) -> bool:
    """Whether a Kafka answers a metadata request."""
    from ingest.kafka import KafkaAdmin

    try:
        with KafkaAdmin(bootstrap, options or {}, timeout_s=timeout_s) as admin:
            admin.cluster()
    except MeterhouseError:
        return False
    return True
