"""One owner of a data directory: a lock the kernel drops with its process, and the pid for the sentence."""

import fcntl
import os
from pathlib import Path

from ingest.errors import MeterhouseError


def own(home: Path) -> int:
    """Takes the directory, for as long as the process lives; returns the lock's file descriptor.

    Raises MeterhouseError when another process has it, or it cannot be written.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = os.open(home / "owner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise MeterhouseError(
            f"the engine's directory {home} cannot be written: {error.strerror}; give another --path"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        pid = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise MeterhouseError(
            f"the engine's directory {home} is in use by process {pid}; "
            "stop that process, connect to it, or give another --path"
        ) from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock
