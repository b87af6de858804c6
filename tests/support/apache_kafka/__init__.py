"""A real Apache Kafka (KRaft, one combined node, loopback) for tests.

The jars come by Maven from pom.xml into the ignored folder target/lib, once. `why_absent()` says what is missing for
that on this machine; METERHOUSE_REQUIRE_JAVA=1 turns the absence into a failure.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from ingest.embedded.stack import answers_kafka
from tests.support.servers import Server, free_port, launch

_HERE = Path(__file__).parent
_LIB = _HERE / "target" / "lib"
_CLUSTER_ID = "AAAAAAAAQACAAAAAAAAAAQ"
_LEAST_JAVA = 17
_PASSWORD = "only-for-tests"


def is_required() -> bool:
    return os.environ.get("METERHOUSE_REQUIRE_JAVA") == "1"


def why_absent() -> str | None:
    """The reason why Apache Kafka cannot run here; None when it can."""
    java = shutil.which("java")
    if java is None:
        return f"Apache Kafka needs Java {_LEAST_JAVA}+, and no `java` is on PATH"
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=30)
    found = re.search(r'version "(\d+)', answer.stderr + answer.stdout)
    if found is None or int(found.group(1)) < _LEAST_JAVA:
        return f"Apache Kafka needs Java {_LEAST_JAVA}+, and `java` here is {found.group(1) if found else 'unknown'}"
    if shutil.which("mvn") is None:
        return "Apache Kafka's jars come by Maven, and no `mvn` is on PATH"
    return None


def fetch_jars() -> Path:
    """The folder with Kafka's jars as pom.xml names them; fetched when missing or when pom.xml has changed."""
    pom = _HERE / "pom.xml"
    fingerprint = hashlib.sha256(pom.read_bytes()).hexdigest()
    marker = _LIB / "pom.sha256"
    _LIB.mkdir(parents=True, exist_ok=True)
    with (_LIB.parent / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not marker.exists() or marker.read_text(encoding="ascii") != fingerprint:
            shutil.rmtree(_LIB)
            _LIB.mkdir()
            goal = ["dependency:copy-dependencies", f"-DoutputDirectory={_LIB}"]
            subprocess.run(["mvn", "-q", "-B", "-f", str(pom), *goal], check=True, timeout=600)
            marker.write_text(fingerprint, encoding="ascii")
    return _LIB


class ApacheKafka:
    """One node that can be killed and started again on the same data and ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.secure_port = free_port()
        self._controller_port = free_port()
        self._server: Server | None = None
        self._lib = fetch_jars()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._make_certificate()
        self._write_settings()
        self._format()

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def secure_bootstrap(self) -> str:
        """The listener with TLS and SASL; `secure_options` gets in."""
        return f"127.0.0.1:{self.secure_port}"

    @property
    def secure_options(self) -> dict[str, str]:
        return {
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": str(self.folder / "server.pem"),
            "sasl.mechanism": "PLAIN",
            "sasl.username": "meterhouse",
            "sasl.password": _PASSWORD,
        }

    @property
    def pid(self) -> int:
        assert self._server is not None, "start it first"
        return self._server.pid

    def start(self) -> None:
        """Ready, by a metadata round trip, when it returns."""
        self._server = launch(
            # Small and quick to start: two cores are shared with everything else of the test run.
            [
                "java",
                "-Xmx384m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                *self._java("kafka.Kafka"),
                self._settings,
            ],
            self.folder / "kafka.log",
            lambda: answers_kafka(self.bootstrap, timeout_s=1.0),
            within_s=90,
        )

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop(within_s=30)
            self._server = None

    def kill(self) -> None:
        """SIGKILL; the data stays for the next start."""
        assert self._server is not None, "start it first"
        self._server.kill()
        self._server = None

    @property
    def _settings(self) -> str:
        return str(self.folder / "server.properties")

    def _java(self, main_class: str) -> list[str]:
        return ["-Dlog4j2.level=WARN", "-cp", f"{self._lib}/*", main_class]

    @property
    def _keystore(self) -> str:
        return str(self.folder / "server.p12")

    def _make_certificate(self) -> None:
        store = ["-keystore", self._keystore, "-storepass", _PASSWORD, "-alias", "kafka"]
        made = [
            "-genkeypair",
            "-keyalg",
            "RSA",
            "-storetype",
            "PKCS12",
            "-dname",
            "CN=127.0.0.1",
            "-ext",
            "SAN=ip:127.0.0.1",
        ]
        exported = ["-exportcert", "-rfc", "-file", str(self.folder / "server.pem")]
        for action in (made, exported):
            subprocess.run(["keytool", *action, *store], check=True, capture_output=True, timeout=60)

    def _format(self) -> None:
        argv = ["java", *self._java("kafka.tools.StorageTool"), "format", "-t", _CLUSTER_ID, "-c", self._settings]
        subprocess.run(argv, check=True, capture_output=True, timeout=60)

    def _write_settings(self) -> None:
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "listeners": f"PLAINTEXT://{self.bootstrap},SASL_SSL://{self.secure_bootstrap},"
            f"CONTROLLER://127.0.0.1:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap},SASL_SSL://{self.secure_bootstrap}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL",
            "ssl.keystore.type": "PKCS12",
            "ssl.keystore.location": self._keystore,
            "ssl.keystore.password": _PASSWORD,
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_ssl.plain.sasl.jaas.config": (
                f'org.apache.kafka.common.security.plain.PlainLoginModule required user_meterhouse="{_PASSWORD}";'
            ),
            "log.dirs": str(self.folder / "data"),
            # One node: its internal topics cannot have more copies, and few partitions start faster.
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "3",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "3",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "auto.create.topics.enable": "false",
        }
        lines = [f"{name}={value}" for name, value in settings.items()]
        Path(self._settings).write_text("\n".join(lines) + "\n", encoding="utf-8")
