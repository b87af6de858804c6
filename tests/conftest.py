"""Servers and settings for every test.

`engine` (embedded ClickHouse), `broker` (embedded Kafka) and `apache_kafka` run once a session (support/shared.py).
`settings` gives each test databases and topics of its own on them, removed at its end. All servers die with pytest.
"""

import contextlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from xdist.workermanage import WorkerController

from ingest.kafka import KafkaAdmin
from ingest.settings import Settings, load_settings
from ingest.warehouse import connect
from tests.support import apache_kafka as apache
from tests.support.shared import Engine, running_broker, running_engine

# Tests state what they run with: nothing of the developer's own settings reaches them.
_REQUIRED = ("JAVA", "GO", "CHROMIUM", "COLLECTOR")
_KEPT = (*(f"METERHOUSE_REQUIRE_{one}" for one in _REQUIRED), "METERHOUSE_EXAMPLES")
for _name in [name for name in os.environ if name.startswith("METERHOUSE_") and name not in _KEPT]:
    del os.environ[_name]


@dataclass(frozen=True)
class Broker:
    """A Kafka of this session, as clients see it."""

    bootstrap: str
    is_embedded: bool


_SERVERS = pytest.StashKey[contextlib.ExitStack]()
_TOLD = pytest.StashKey[dict[str, object]]()


def pytest_configure_node(node: WorkerController) -> None:
    """Before each worker of a run by several starts: the servers, once, and where they are."""
    config = node.config
    if _SERVERS not in config.stash:
        servers = config.stash[_SERVERS] = contextlib.ExitStack()
        folder = Path(servers.enter_context(tempfile.TemporaryDirectory(prefix="meterhouse-tests-")))
        config.stash[_TOLD] = {
            "engine": servers.enter_context(running_engine(folder)).told(),
            "broker": servers.enter_context(running_broker(folder)),
        }
    node.workerinput |= config.stash[_TOLD]


def pytest_unconfigure(config: pytest.Config) -> None:
    if servers := config.stash.get(_SERVERS, None):
        servers.close()


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    told = getattr(request.config, "workerinput", None)
    if told is not None:
        yield Engine.heard(told["engine"])
        return
    with running_engine(tmp_path_factory.mktemp("engine")) as started:
        yield started


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    told = getattr(request.config, "workerinput", None)
    if told is not None:
        yield Broker(told["broker"], is_embedded=True)
        return
    with running_broker(tmp_path_factory.mktemp("broker")) as bootstrap:
        yield Broker(bootstrap, is_embedded=True)


@pytest.fixture(scope="session")
def apache_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[apache.ApacheKafka]:
    """A real Kafka, or a skip that says why not; with METERHOUSE_REQUIRE_JAVA=1 a failure. Leave it running."""
    reason = apache.why_absent()
    if reason is not None:
        (pytest.fail if apache.is_required() else pytest.skip)(reason)
    kafka = apache.ApacheKafka(tmp_path_factory.mktemp("apache-kafka"))
    try:
        kafka.start()
        yield kafka
    finally:
        kafka.stop()


@pytest.fixture(scope="session", params=["embedded", "apache"])
def any_broker(request: pytest.FixtureRequest) -> Broker:
    """Each test that takes it runs on both brokers."""
    if request.param == "embedded":
        embedded: Broker = request.getfixturevalue("broker")
        return embedded
    kafka: apache.ApacheKafka = request.getfixturevalue("apache_kafka")
    return Broker(kafka.bootstrap, is_embedded=False)


@pytest.fixture
def prefix() -> str:
    """A name no other test has, fit for databases and topics."""
    return f"t{uuid.uuid4().hex[:10]}_"


@pytest.fixture
def settings(engine: Engine, broker: Broker, prefix: str, tmp_path: Path) -> Iterator[Settings]:
    """Settings on this session's engine and embedded broker, with databases and topics of the test's own."""
    made = load_settings(
        home=tmp_path / "home",
        clickhouse_url=engine.url,
        kafka_bootstrap=broker.bootstrap,
        # As the embedded broker needs it, which `consumer_config(embedded=True)` would do by itself.
        kafka_options={"session.timeout.ms": "6000", "heartbeat.interval.ms": "1500"},
        database_prefix=prefix,
        topic_prefix=prefix,
        # A group left behind by another test would hold this one's join back.
        consumer_group=f"{prefix}loader",
        metrics_port=0,
    )
    yield made
    remove_topics(made)
    drop_databases(made)


@pytest.fixture
def warehouse(settings: Settings) -> Iterator[Client]:
    """A client of the session's engine."""
    client = connect(settings.clickhouse, connect_timeout_s=5, request_timeout_s=60)
    yield client
    client.close()


def remove_topics(settings: Settings) -> None:
    with KafkaAdmin(settings.bootstrap, settings.kafka_options) as admin:
        admin.delete_topics(name for name in admin.cluster().topics if name.startswith(settings.topic_prefix))


def drop_databases(settings: Settings) -> None:
    client = connect(settings.clickhouse, connect_timeout_s=5, request_timeout_s=60)
    try:
        rows = client.query(
            "select name from system.databases where startsWith(name, {prefix:String})",
            parameters={"prefix": settings.database_prefix},
        ).result_rows
        for (name,) in rows:
            client.command(f"drop database if exists `{name}`")
    finally:
        client.close()
