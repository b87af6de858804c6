"""What processes use, from /proc: CPU seconds of a process and its children, and the most memory it ever held.

A process that is gone counts as nothing; `Ended` holds what one used over its whole life.
"""

import itertools
import os
import subprocess
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
# Who the children are is asked every so many turns: it means to read all of /proc.
_TURNS_A_TREE = 10


def cpu_seconds(pid: int) -> float:
    """User and system time of the process and of all its descendants that still run."""
    return sum(_own_cpu_seconds(one) for one in _tree(pid))


def machine_seconds() -> tuple[float, float]:
    """CPU seconds the whole machine has worked so far, and those it had, all cores together."""
    ticks = [int(one) for one in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / _TICKS_A_SECOND, sum(ticks) / _TICKS_A_SECOND


def peak_rss_mb(pid: int) -> float:
    """The most resident memory the process has held so far, in MB of 10**6 bytes; zero when it is gone."""
    return _memory_mb(pid).get("VmHWM", 0.0)


def held_mb(pids: Iterable[int]) -> float:
    """What the processes hold now: the memory of each, and the files they map once, since they map the same."""
    each = [_memory_mb(pid) for pid in pids]
    own = sum(one.get("RssAnon", 0.0) + one.get("RssShmem", 0.0) for one in each)
    return own + max((one.get("RssFile", 0.0) for one in each), default=0.0)


def _memory_mb(pid: int) -> dict[str, float]:
    """The kernel's figures of a process by their names, in MB; empty when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    lines = [line.split() for line in status.splitlines() if line.startswith(("VmHWM:", "Rss"))]
    return {name.rstrip(":"): int(kb) * 1024 / 1e6 for name, kb, *_ in lines}


def _own_cpu_seconds(pid: int) -> float:
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND if fields else 0.0


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat after the name, which may hold spaces; empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _tree(pid: int) -> list[int]:
    parent_of = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            parent_of[int(entry.name)] = int(fields[1])
    members, frontier = [pid], {pid}
    while frontier:
        frontier = {child for child, parent in parent_of.items() if parent in frontier}
        members.extend(frontier)
    return members


@dataclass(frozen=True, slots=True)
class Ended:
    """A process's whole life, its children's included. `exit_code` is negative for a signal. `peak_mb`: of one process
    the kernel's high-water mark, of several the most they held at one moment (`held_mb`, asked every 20 ms)."""

    exit_code: int
    cpu_s: float
    peak_mb: float


class Watched:
    """Watches the memory of a process that was started, its children's included; `wait` gives what they used in all."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self._peak_mb = 0.0
        self._watcher = threading.Thread(target=self._watch, name="rss", daemon=True)
        self._watcher.start()

    def wait(self) -> Ended:
        """Waits for the end."""
        _, status, used = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self._watcher.join()
        return Ended(self.process.returncode, used.ru_utime + used.ru_stime, self._peak_mb)

    def _watch(self) -> None:
        for turn in itertools.count():
            if turn % _TURNS_A_TREE == 0:
                members = _tree(self.process.pid)
            now_mb = peak_rss_mb(members[0]) if len(members) == 1 else held_mb(members)
            self._peak_mb = max(self._peak_mb, now_mb)
            if not peak_rss_mb(self.process.pid):
                return
            time.sleep(0.02)
