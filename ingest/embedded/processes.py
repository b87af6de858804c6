"""What the operating system knows about processes and ports.

A process is known by its pid and by when it started, so that a recycled pid is not mistaken for the one we started.
Reads /proc on Linux and asks `ps` elsewhere; nothing here raises for a process that is gone.
"""

import contextlib
import ctypes
import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

METERHOUSE = (sys.executable, "-c", "from ingest.cli import main; main()")
"""Starts `meterhouse` with this very interpreter, whatever is on the path."""

_PR_SET_PDEATHSIG = 1
_LISTEN = "0A"


def identity(pid: int) -> str | None:
    """What tells this process from a later one with the same pid; None when it is gone or a zombie."""
    if not sys.platform.startswith("linux"):
        return _identity_by_ps(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
    # The name in parentheses may hold spaces and parentheses; state is the first field after it, start the 20th.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" and not _has_other_threads(pid) else f"{boot}:{fields[19]}"


def _has_other_threads(pid: int) -> bool:
    # The first thread of a process that exits is a zombie at once; its others may still be closing files and ports.
    try:
        return len(list(Path(f"/proc/{pid}/task").iterdir())) > 1
    except OSError:
        return False


def _identity_by_ps(pid: int) -> str | None:
    answer = subprocess.run(  # noqa: S603
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False, timeout=5
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return started.strip() if answer.returncode == 0 and started and not state.startswith("Z") else None


def is_running(pid: int, known_identity: str | None) -> bool:
    """Whether that very process still runs."""
    return known_identity is not None and identity(pid) == known_identity


def stop(pid: int, known_identity: str | None, *, within_s: float, wait: Callable[[], object] = lambda: None) -> bool:
    """SIGTERM, then SIGKILL after the deadline; True when it went by itself or was not there.

    `wait` is called between looks, for a parent that must reap its child.
    """
    for number, patience_s in ((signal.SIGTERM, within_s), (signal.SIGKILL, 10.0)):
        if not is_running(pid, known_identity):
            return number is signal.SIGTERM
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            wait()
            if not is_running(pid, known_identity):
                return number is signal.SIGTERM
            time.sleep(0.02)
    return False


def die_with_parent(signal_number: int = signal.SIGKILL) -> Callable[[], None]:
    """A `preexec_fn` by which the child gets the signal when its parent dies. Linux only; elsewhere it does nothing."""
    if not sys.platform.startswith("linux"):
        return lambda: None
    library = ctypes.CDLL(None, use_errno=True)  # loaded before the fork: no imports in the child
    parent = os.getpid()

    def set_signal() -> None:
        library.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
        if os.getppid() != parent:  # it died before the call
            os.kill(os.getpid(), signal_number)

    return set_signal


def is_port_free(host: str, port: int) -> bool:
    """Whether a server could listen there now; a port in TIME_WAIT is free."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def wait_port_free(host: str, port: int, *, within_s: float = 3.0) -> bool:
    """Like is_port_free, with patience for connections that linger after their server went; none for a listener."""
    deadline = time.monotonic() + within_s
    while not is_port_free(host, port):
        if _listening_inodes(port) or time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def port_owner(port: int) -> str | None:
    """`pid 4711 (python -m http.server)` of who listens on the port, where the system tells us."""
    inodes = _listening_inodes(port)
    if not inodes:
        return None
    for folder in Path("/proc").glob("[0-9]*"):
        if not inodes.isdisjoint(_open_files(folder)):
            return f"pid {folder.name} ({command_line(int(folder.name))})"
    return None


def _open_files(folder: Path) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):  # another user's, or gone
        for link in (folder / "fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile, such as the one we list with
                found.add(str(link.readlink()))
    return found


def command_line(pid: int) -> str:
    """The command as started, shortened; `?` when it cannot be read."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return "?"
    return words if len(words) <= 80 else words[:77] + "..."


def _listening_inodes(port: int) -> set[str]:
    wanted = f":{port:04X}"
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[1].endswith(wanted) and fields[3] == _LISTEN:
                    inodes.add(f"socket:[{fields[9]}]")
    return inodes


def taken_sentence(what: str, host: str, port: int, variable: str) -> str:
    """Why a part cannot start on its port, and what to set."""
    owner = port_owner(port)
    by = f" by {owner}" if owner else " by another process"
    return f"Port {port} on {host}, where the {what} should listen, is taken{by}: stop that, or set {variable}."


def rotate(log_file: Path, *, above_bytes: int = 0) -> None:
    """Moves a log above the size to `<name>.1`, replacing the one before: two generations, no more."""
    with contextlib.suppress(FileNotFoundError):
        if log_file.stat().st_size > above_bytes:
            log_file.replace(log_file.with_name(log_file.name + ".1"))


def tail(log_file: Path, *, max_bytes: int = 2_000) -> str:
    """The last lines of a log, for the sentence of a failed start."""
    try:
        with log_file.open("rb") as opened:
            opened.seek(max(0, log_file.stat().st_size - max_bytes))
            return opened.read().decode(errors="replace").strip()
    except OSError:
        return ""
