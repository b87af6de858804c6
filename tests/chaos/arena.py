"""What a round happens in: engine behind a faulty proxy, broker, loaders, each to be killed, frozen and started again.

The engine and the broker live through all rounds; a round has databases, topics and a consumer group of its own.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bench import stand
from ingest.embedded import processes
from tests.chaos.http_wire import Request
from tests.chaos.proxy import FaultyProxy, Stage
from tests.support.apache_kafka import ApacheKafka
from tests.support.servers import Server, free_port

REQUEST_TIMEOUT_S = 3
TOPICS = ("events_a", "events_b")
PARTITIONS = 3


class Arena:
    """Servers and the proxy; use in a `with`. `kafka` is None where the embedded broker serves."""

    def __init__(self, folder: Path, broker: str, seed: int) -> None:
        self.folder = folder
        self.is_apache = broker == "apache"
        self.engine_port = free_port()
        self._broker_port = free_port()
        self.engine: Server = stand.start_engine(folder / "engine", self.engine_port)
        self.broker: Server | None = None
        self.kafka: ApacheKafka | None = None
        try:
            self.proxy = FaultyProxy(0, self.engine_port, seed)
            if self.is_apache:
                self.kafka = ApacheKafka(folder / "kafka")
                self.kafka.start()
            else:
                self.broker = stand.start_broker(folder / "broker", self._broker_port)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Arena":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def bootstrap(self) -> str:
        return self.kafka.bootstrap if self.kafka is not None else f"127.0.0.1:{self._broker_port}"

    def kill_engine(self) -> None:
        self.engine.kill()

    def start_engine(self) -> None:
        self.engine = stand.start_engine(self.folder / "engine", self.engine_port)

    def close(self) -> None:
        if self.kafka is not None:
            self.kafka.stop()
        if self.broker is not None:
            self.broker.stop()
        with contextlib.suppress(AttributeError):
            self.proxy.close()
        self.engine.stop()


class Loader:
    """One `meterhouse load` that is started again when it dies; `died` collects the ends nobody asked for."""

    def __init__(self, arena: Arena, prefix: str, name: str, more: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.log = arena.folder / "loaders" / f"{prefix}{name}.log"
        self.died: list[str] = []
        self.is_frozen = False
        self._environment = stand.loader_environment(
            url=stand.engine_url(arena.proxy.port),
            bootstrap=arena.bootstrap,
            prefix=prefix,
            topics=TOPICS,
            home=arena.folder / "home" / name,
            more={
                "METERHOUSE_CLICKHOUSE_REQUEST_TIMEOUT_S": str(REQUEST_TIMEOUT_S),
                "METERHOUSE_CLICKHOUSE_CONNECT_TIMEOUT_S": "2",
                "METERHOUSE_PROGRESS_INTERVAL_S": "1",
                "METERHOUSE_DRAIN_DEADLINE_S": "10",
                # One that does not end is aborted, and says on the way out where each thread stood.
                "PYTHONFAULTHANDLER": "1",
                # Small batches: more steps for a fault to fall between.
                "METERHOUSE_BATCH_ROWS": "2000",
                "METERHOUSE_BATCH_AGE_S": "0.2",
                **(more or {}),
            },
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str) -> None:
        self._process = stand.start_loader(self.log, self._environment, "--owner", self.name, *arguments)

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def keep(self) -> None:
        """Starts it again when it has ended by itself, and remembers how."""
        if self._process is not None and (code := self._process.poll()) is not None:
            last = processes.tail(self.log, max_bytes=400).strip().splitlines()[-1:]
            self.died.append(f"{self.name} ended with {code}: {''.join(last)}")
            self.start()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None
            self.is_frozen = False

    def kill_now(self) -> None:
        """SIGKILL from another thread; who waits for the loader sees its end."""
        self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)
        self.is_frozen = True

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)
        self.is_frozen = False

    def stop(self, within_s: float = 30.0) -> int | None:
        """SIGTERM and its exit code; None where it did not end in time and was aborted, or was not running."""
        if self._process is None:
            return None
        self.thaw()
        self._process.terminate()
        try:
            return self.wait(within_s)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGABRT)
            self.wait(10)
            return None

    def wait(self, within_s: float) -> int:
        """The exit code of a loader that ends by itself (`--drain`). Raises subprocess.TimeoutExpired."""
        assert self._process is not None, "start it first"
        code = self._process.wait(within_s)
        self._process = None
        return code

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, number)


def kill_at(arena: Arena, loader: Loader, table: str, stage: Stage) -> list[str]:
    """Has the proxy kill the loader at its first insert into the table; what is given fills when it has."""
    hit: list[str] = []

    def hook(request: Request, at: Stage) -> None:
        # What a loader killed before this one had on its way does not count.
        if at == stage and not hit and loader.is_running and request.inserts_into == table:
            hit.append(table)
            loader.kill_now()

    arena.proxy.at_request = hook
    return hit
