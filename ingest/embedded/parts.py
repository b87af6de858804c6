"""Keeps parts (processes) running in the background and knows them again later.

In: a folder and a list of parts (name, command, where it listens, how to ask for its health). Out: detached processes,
each with a state file `<name>.json` (pid, start of the process, address) and a log rotated at start. A state whose
process is gone, or whose pid now belongs to another process, is stale: it is removed and said so. Part starts and stops
are serialized by a file lock, so two `up` at once start each part once.
"""

import contextlib
import fcntl
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Literal

import msgspec

from ingest.embedded import processes
from ingest.errors import MeterhouseError

# Longer than a slow start or stop of all parts takes.
LOCK_WITHIN_S = 180.0

Say = Callable[[str], None]
StateName = Literal["running", "unhealthy", "stopped", "died"]


@dataclass(frozen=True)
class Part:
    """One process of the stack.

    `is_healthy` asks by protocol, answers within a few seconds and never raises. `port` is refused when somebody else
    holds it; `port_variable` is the setting that moves it.
    """

    name: str
    argv: tuple[str, ...]
    address: str
    is_healthy: Callable[[], bool]
    host: str = "127.0.0.1"
    port: int | None = None
    port_variable: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    ready_within_s: float = 60.0
    stop_within_s: float = 30.0


class StateFile(msgspec.Struct, frozen=True):
    """What is remembered of a started part."""

    name: str
    pid: int
    identity: str
    address: str
    argv: list[str]
    started_at: str
    log: str
    stop_within_s: float = 30.0


@dataclass(frozen=True)
class PartState:
    """A part as it is now; `pid` and `started_at` (UTC) where it runs."""

    name: str
    state: StateName
    address: str
    pid: int | None = None
    started_at: datetime | None = None
    log: Path | None = None


class Keeper:
    """Starts, stops and reports parts under `home`."""

    def __init__(self, home: Path, say: Say = lambda _: None) -> None:
        self.home = home.absolute()
        self.say = say
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def run_folder(self) -> Path:
        return self.home / "run"

    def log_file(self, name: str) -> Path:
        return self.home / "logs" / f"{name}.log"

    def start(self, parts: Sequence[Part]) -> list[str]:
        """Starts what does not run, in order, each healthy before the next; returns the names started.

        When one fails, those this call started are stopped again and MeterhouseError says why.
        """
        started: list[str] = []
        with self._lock():
            try:
                for part in parts:
                    if self._start_one(part):
                        started.append(part.name)  # noqa: PERF401  # what has started must be known when one fails
            except BaseException:
                self._stop(list(reversed(started)))
                raise
        return started

    def stop(self, names: Sequence[str] | None = None) -> list[str]:
        """Stops parts (all that are remembered, newest first), each by SIGTERM, then SIGKILL after its deadline."""
        with self._lock():
            remembered = sorted(self.remembered().values(), key=lambda one: one.started_at, reverse=True)
            return self._stop([one.name for one in remembered if names is None or one.name in names])

    def state(self, part: Part) -> PartState:
        """How the part is, asked now."""
        known = self.remembered().get(part.name)
        log = self.log_file(part.name)
        if known is None:
            return PartState(part.name, "stopped", part.address, log=log)
        if not self.is_alive(known):
            return PartState(part.name, "died", known.address, log=log)
        # Asked where the settings say; a part started for another address is not the one they mean.
        healthy = known.address == part.address and part.is_healthy()
        started_at = datetime.fromisoformat(known.started_at)
        return PartState(part.name, "running" if healthy else "unhealthy", known.address, known.pid, started_at, log)

    def is_alive(self, known: StateFile) -> bool:
        self._reap(known.pid)
        return processes.is_running(known.pid, known.identity)

    def remembered(self) -> dict[str, StateFile]:
        """Every state file, by part; an unreadable one is removed, for nothing can be known from it."""
        found = {}
        for file in sorted(self.run_folder.glob("*.json")):
            try:
                found[file.stem] = msgspec.json.decode(file.read_bytes(), type=StateFile)
            except FileNotFoundError:
                continue
            except msgspec.MsgspecError:
                self.say(f"{file.name} in {self.run_folder} could not be read and was removed")
                file.unlink(missing_ok=True)
        return found

    def _start_one(self, part: Part) -> bool:
        known = self.remembered().get(part.name)
        if known is not None and self.is_alive(known):
            self._check_same(part, known)
            self._wait_healthy(part, known.pid, lambda: self.is_alive(known))
            self.say(f"{part.name} already runs on {known.address}, pid {known.pid}")
            return False
        if known is not None:
            self.say(
                f"{part.name} was started at {known.started_at} with pid {known.pid} and is gone without having been "
                "stopped: the stale state was removed"
            )
            self._forget(part.name)
        if part.port is not None and not processes.wait_port_free(part.host, part.port):
            raise MeterhouseError(processes.taken_sentence(part.name, part.host, part.port, part.port_variable))
        process = self._spawn(part)
        identity = processes.identity(process.pid)
        # To the microsecond: parts stop in the reverse of this order, and quick ones start within one second.
        started_at = datetime.now(UTC).isoformat(timespec="microseconds")
        log = self.log_file(part.name)
        if identity is not None:
            record = StateFile(
                part.name,
                process.pid,
                identity,
                part.address,
                list(part.argv),
                started_at,
                str(log),
                part.stop_within_s,
            )
            self._remember(record)
        try:
            self._wait_healthy(part, process.pid, lambda: process.poll() is None)
        except BaseException:
            self._stop([part.name])
            raise
        self.say(f"{part.name} runs on {part.address}, pid {process.pid}, log {log}")
        return True

    def _spawn(self, part: Part) -> "subprocess.Popen[bytes]":
        log = self.log_file(part.name)
        log.parent.mkdir(parents=True, exist_ok=True)
        processes.rotate(log)
        with log.open("ab") as opened:
            process = subprocess.Popen(  # noqa: S603  # argv of our own parts
                part.argv,
                stdin=subprocess.DEVNULL,
                stdout=opened,
                stderr=opened,
                env={**os.environ, **part.env},
                start_new_session=True,  # outlives this terminal, and its Ctrl-C
            )
        self._children[process.pid] = process
        return process

    def _wait_healthy(self, part: Part, pid: int, is_alive: Callable[[], bool]) -> None:
        deadline = time.monotonic() + part.ready_within_s
        while True:
            if not is_alive():
                last = processes.tail(self.log_file(part.name), max_bytes=600).splitlines()[-1:]
                said = f" ({last[0]})" if last else ""
                raise MeterhouseError(f"{part.name} ended while starting{said}: see {self.log_file(part.name)}.")
            if part.is_healthy():
                return
            if time.monotonic() > deadline:
                raise MeterhouseError(
                    f"{part.name} (pid {pid}) does not answer on {part.address} within {part.ready_within_s:g} s: "
                    f"see {self.log_file(part.name)}, and `meterhouse down` before another try."
                )
            time.sleep(0.05)

    def _check_same(self, part: Part, known: StateFile) -> None:
        if known.address != part.address:
            raise MeterhouseError(
                f"{part.name} runs on {known.address} (pid {known.pid}), but the settings say {part.address}: "
                "`meterhouse down`, then `meterhouse up`."
            )

    def _stop(self, names: Sequence[str]) -> list[str]:
        remembered = self.remembered()
        stopped = []
        for known in (remembered[name] for name in names if name in remembered):
            if not self.is_alive(known):
                self.say(f"{known.name} (pid {known.pid}) was already gone: the stale state was removed")
            else:
                gently = processes.stop(
                    known.pid,
                    known.identity,
                    within_s=known.stop_within_s,
                    wait=lambda pid=known.pid: self._reap(pid),  # type: ignore[misc]  # the default binds the pid
                )
                how = "stopped" if gently else f"did not stop within {known.stop_within_s:g} s and was killed"
                self.say(f"{known.name} (pid {known.pid}) {how}")
                stopped.append(known.name)
            self._forget(known.name)
        return stopped

    def _reap(self, pid: int) -> None:
        child = self._children.get(pid)
        if child is not None and child.poll() is not None:
            del self._children[pid]

    def _remember(self, record: StateFile) -> None:
        file = self.run_folder / f"{record.name}.json"
        partial = file.with_suffix(".partial")
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=2))
        partial.replace(file)

    def _forget(self, name: str) -> None:
        (self.run_folder / f"{name}.json").unlink(missing_ok=True)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        try:
            self.run_folder.mkdir(parents=True, exist_ok=True)
            opened = (self.run_folder / "lock").open("a")
        except OSError as error:
            raise MeterhouseError(
                f"The folder {self.run_folder} cannot be written ({error.strerror}): set METERHOUSE_HOME to another."
            ) from error
        with opened:
            deadline = time.monotonic() + LOCK_WITHIN_S
            while not _try_lock(opened):
                if time.monotonic() > deadline:
                    raise MeterhouseError(
                        f"Another `meterhouse up` or `down` has held {opened.name} for {LOCK_WITHIN_S:g} s: "
                        "let it end or stop it, then run this again."
                    )
                time.sleep(0.1)
            yield


def _try_lock(opened: IO[str]) -> bool:
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
