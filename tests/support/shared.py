"""One engine and one broker for the whole run, whether one process runs the tests or several do (pytest-xdist).

Several: the process that hands the tests out starts them before its workers, stops them after, and tells each worker
where they are. One: each starts when first asked for. They die with the process that started them.
"""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from ingest.embedded.stack import answers_kafka, answers_ok
from tests.support.servers import free_port, running


@dataclass(frozen=True)
class Engine:
    """An embedded ClickHouse: its URL, folder of data, process and log."""

    url: str
    path: Path
    pid: int
    log: Path

    def told(self) -> dict[str, str | int]:
        """As xdist can carry it to a worker."""
        return {name: str(one) if isinstance(one, Path) else one for name, one in asdict(self).items()}

    @classmethod
    def heard(cls, told: dict[str, str | int]) -> "Engine":
        return cls(str(told["url"]), Path(str(told["path"])), int(told["pid"]), Path(str(told["log"])))


@contextlib.contextmanager
def running_engine(folder: Path, *more: str) -> Iterator[Engine]:
    """`more` are further arguments of the engine."""
    port, log = free_port(), folder / "engine.log"
    argv = [sys.executable, "-m", "ingest.embedded.clickhouse", "--path", str(folder / "data"), "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    with running([*argv, *more], log, lambda: answers_ok(f"{url}/ping")) as server:
        yield Engine(url.replace("://", "://default@"), folder / "data", server.pid, log)


@contextlib.contextmanager
def running_broker(folder: Path) -> Iterator[str]:
    """Yields its bootstrap address."""
    bootstrap = f"127.0.0.1:{(port := free_port())}"
    argv = [sys.executable, "-m", "ingest.embedded", "kafka", "--port", str(port)]
    with running(argv, folder / "broker.log", lambda: answers_kafka(bootstrap)):
        yield bootstrap
