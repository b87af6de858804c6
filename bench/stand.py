"""The servers a measurement or a chaos round runs against, each in a process of its own on loopback.

In: a folder and ports. Out: `tests.support.servers.Server` values, to be killed and started again on the same data.
A server that does not get ready fails with the end of its log.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from clickhouse_connect.driver.client import Client

from ingest.embedded import processes
from ingest.embedded.processes import METERHOUSE
from ingest.embedded.stack import answers_kafka, answers_ok
from ingest.kafka import KafkaAdmin, TopicSpec
from ingest.schema.engines import Layout
from ingest.schema.migrate import migrate
from ingest.settings import ClickHouseAddress
from ingest.warehouse import connect
from tests.support.servers import Server, launch

ENGINE = (sys.executable, "-m", "ingest.embedded.clickhouse")
BROKER = (sys.executable, "-m", "ingest.embedded", "kafka")
# The embedded broker holds a JoinGroup for half the session timeout; six seconds is the least Kafka allows.
OTLP_TOPICS = tuple(f"METERHOUSE_OTLP_{signal}_TOPICS" for signal in ("TRACES", "LOGS", "METRICS"))
GROUP_OPTIONS = "session.timeout.ms=6000,heartbeat.interval.ms=1000"


def stopped_cleanly(main: Callable[[], int]) -> int:
    """The exit code of `main`; after Ctrl-C, when all that it had started is stopped, 130 and a sentence."""
    try:
        return main()
    except KeyboardInterrupt:
        print("stopped by Ctrl-C: engines and brokers are stopped, no figures are written", file=sys.stderr)
        return 130


def start_engine(folder: Path, port: int) -> Server:
    """The embedded ClickHouse on `folder`/data, answering when this returns."""
    argv = [*ENGINE, "--path", str(folder / "data"), "--port", str(port)]
    return launch(argv, folder / "engine.log", lambda: answers_ok(f"{engine_url(port)}/ping"))


def start_broker(folder: Path, port: int) -> Server:
    """The embedded Kafka broker, answering when this returns; all it holds is in memory."""
    argv = [*BROKER, "--port", str(port)]
    return launch(argv, folder / "broker.log", lambda: answers_kafka(f"127.0.0.1:{port}"))


def engine_url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def open_client(port: int, request_timeout_s: float = 120.0) -> Client:
    """A client of the engine on `port`; threads may share it."""
    return connect(ClickHouseAddress(engine_url(port)), connect_timeout_s=5, request_timeout_s=request_timeout_s)


def make_tables(client: Client, prefix: str) -> None:
    """The raw and ops tables in databases that begin with `prefix`."""
    migrate(client, Layout(prefix, "", 90), say=lambda _: None)


def drop_tables(client: Client, prefix: str) -> None:
    """Every database that begins with `prefix`, with all it holds."""
    for name in ("raw", "staging", "intermediate", "marts", "ops"):
        client.command(f"drop database if exists `{prefix}{name}`")


def make_topics(bootstrap: str, topics: Iterable[str], partitions: int) -> None:
    with KafkaAdmin(bootstrap, {}) as admin:
        admin.ensure_topics(TopicSpec(name, partitions) for name in topics)


def drop_topics(bootstrap: str, topics: Iterable[str]) -> None:
    with KafkaAdmin(bootstrap, {}) as admin:
        admin.delete_topics(topics)


def loader_environment(
    *, url: str, bootstrap: str, prefix: str, topics: Iterable[str], home: Path, more: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The environment of a loader process: this one's without its METERHOUSE_ variables, and what is given here."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("METERHOUSE_")}
    return inherited | {
        "METERHOUSE_HOME": str(home),
        "METERHOUSE_CLICKHOUSE_URL": url,
        "METERHOUSE_KAFKA_BOOTSTRAP": bootstrap,
        "METERHOUSE_KAFKA_OPTIONS": GROUP_OPTIONS,
        "METERHOUSE_DATABASE_PREFIX": prefix,
        "METERHOUSE_TOPIC_PREFIX": prefix,
        "METERHOUSE_AGENT_EVENT_TOPICS": ",".join(topics),
        **dict.fromkeys(OTLP_TOPICS, ""),  # the loader reads what is measured or attacked, and nothing beside it
        "METERHOUSE_CONSUMER_GROUP": f"{prefix}loader",
        "METERHOUSE_METRICS_PORT": "0",
        **(more or {}),
    }


def start_loader(log: Path, environment: Mapping[str, str], *arguments: str) -> "subprocess.Popen[bytes]":
    """`meterhouse load` with `arguments`, its words appended to `log`; it dies with this process."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as opened:
        return subprocess.Popen(
            [*METERHOUSE, "load", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=opened,
            stderr=opened,
            env=dict(environment),
            start_new_session=True,
            preexec_fn=processes.die_with_parent(),  # noqa: PLW1509  # calls two C functions, takes no lock
        )
