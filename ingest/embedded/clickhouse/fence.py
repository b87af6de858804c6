"""The kernel's fence around the engine's process (Landlock, Linux 5.13+): its own directories, no programs, no ports.

What the refusals and grants turn away by name, this closes by nature: an expression inside inserted values, a schema's
path, a new function. It binds the calling thread and every thread and process it starts, for good. Kernels below 6.7
know no rule for connections; where there is no Landlock at all, `fence` says so and changes nothing.
"""

import ctypes
import os
import platform
import struct
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
# By version of the interface: everything it can restrict. 1: up to MAKE_SYM; 2: REFER; 3: TRUNCATE; 5: IOCTL_DEV.
_ALL_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_LATEST_RIGHTS = (1 << 16) - 1
_IOCTL_DEV = 1 << 15
_BIND_TCP, _CONNECT_TCP = 1, 2
_CONNECT_SINCE = 4
# What is not of this process's own: libraries, time zones, counters of the kernel, names.
_READ = (
    "/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64", "/usr/share/zoneinfo", "/sys/fs/cgroup",
    "/sys/devices/system", "/sys/block", "/sys/class", "/sys/kernel/mm", "/etc/ld.so.cache", "/etc/localtime",
    "/etc/timezone", "/etc/mime.types", "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/resolv.conf",
    "/proc", "/dev/urandom", "/dev/random", "/dev/zero",
)  # fmt: skip


def fence(writable: Iterable[Path]) -> str:
    """Closes all but the directories of `writable`, Python's own and the kernel's; returns what is closed, in words."""
    libc = ctypes.CDLL(None, use_errno=True)
    if platform.system() != "Linux":
        return f"no fence: {platform.system()} has no Landlock"
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION_FLAG))
    if version < 1:
        return "no fence: this kernel has no Landlock"
    rights = _ALL_RIGHTS.get(version, _LATEST_RIGHTS)
    # Binding stays open: the listening port is there already, and nothing else in the engine listens.
    ports = _CONNECT_TCP if version >= _CONNECT_SINCE else 0
    attributes = struct.pack("=QQ", rights, ports) if version >= _CONNECT_SINCE else struct.pack("=Q", rights)
    ruleset = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))
    if ruleset < 0:
        return f"no fence: {os.strerror(ctypes.get_errno())}"
    try:
        readable = {Path(part) for part in (*_READ, *_python())}
        for path in readable:
            _allow(libc, ruleset, path, _READ_FILE | _READ_DIR)
        for path in (*writable, Path("/dev/null")):
            _allow(libc, ruleset, path, rights & ~(_EXECUTE | _IOCTL_DEV))
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if libc.syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint(0)) != 0:
            return f"no fence: {os.strerror(ctypes.get_errno())}"
    finally:
        os.close(ruleset)
    return "no files but its own, no programs" + (", no connections out" if ports else "")


def forget_environment() -> None:
    """Takes the environment out of /proc/self/environ, where it could be read as a file; the process keeps its own."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return
    begin, end = (int(fields[number - 3]) for number in (50, 51))
    kept = dict(os.environ)
    ctypes.memset(begin, 0, end - begin)
    for name, value in kept.items():
        os.environ[name] = value


def _python() -> list[str]:
    """Where modules come from that are imported later; of a source tree the package alone, not what lies beside it."""
    package = Path(__file__).parents[2]
    elsewhere = [entry for entry in filter(None, sys.path) if Path(entry).resolve() not in package.parents]
    return [*sysconfig.get_paths().values(), *elsewhere, str(package), sys.prefix, sys.base_prefix]


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not path.is_dir():
            rights &= _READ_FILE | _WRITE_FILE | (1 << 14)
        rule = struct.pack("=Qi", rights, handle)
        libc.syscall(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint(0))
    finally:
        os.close(handle)
