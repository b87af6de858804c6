"""One of Dagster's processes, as `meterhouse up` keeps it: `python -m orchestration.serve code|webserver|daemon`.

In: DAGSTER_HOME and METERHOUSE_* of the environment. The code server holds the definitions for the other two and starts
the runs; its start is the moment at which runs of one before it are known to be dead, and it tells the instance so.
SIGTERM and Ctrl-C end it, its runs first. Wrong settings and definitions that do not load end it with what was wrong.
"""

import contextlib
import ctypes
import fcntl
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from types import FrameType
from typing import Final

from ingest.errors import MeterhouseError, tell
from ingest.settings import load_settings

HOST: Final = "127.0.0.1"
LOCATION: Final = "meterhouse"
MODULE: Final = "orchestration.definitions"
# Lies in a home that is new until the build of everything has ended: till then no family has what it stands on.
NOTHING_BUILT: Final = "nothing-built-yet"
_INSTANCE_YAML: Final = Path(__file__).with_name("dagster.yaml")
_PR_SET_PDEATHSIG: Final = 1

if __name__ == "__mp_main__" and sys.platform.startswith("linux"):
    # A run of the code server: multiprocessing imports this module into it. It must not outlive the one that would
    # report its death, or tables are built by a process nobody knows of. SIGINT is what Dagster ends a run with.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)


def main(role: str) -> None:
    """Serves until stopped."""
    # Dagster handles SIGTERM as SIGINT is handled, which a process started by a script with `&` ignores.
    signal.signal(signal.SIGINT, _end)
    home, settings = Path(os.environ["DAGSTER_HOME"]), load_settings()
    with prepared(home, settings.dagster_code_port):
        if role == "code":
            fail_orphans()
    workspace = ["-w", str(home / "workspace.yaml")]
    grpc = ["-m", MODULE, "-h", HOST, "-p", str(settings.dagster_code_port), "--location-name", LOCATION]
    script, arguments = {
        "code": ("dagster", ["api", "grpc", *grpc]),
        "webserver": ("dagster-webserver", ["-h", HOST, "-p", str(settings.dagster_port), *workspace]),
        "daemon": ("dagster-daemon", ["run", *workspace]),
    }[role]
    sys.argv = [script, *arguments]
    next(iter(entry_points(group="console_scripts", name=script))).load()()


def _end(_signal: int, _frame: FrameType | None) -> None:
    """Interrupts the runs before Dagster does what it does at an end, which is to wait for them."""
    for run in multiprocessing.active_children():
        if run.pid is not None:
            os.kill(run.pid, signal.SIGINT)
    raise KeyboardInterrupt


@contextlib.contextmanager
def prepared(home: Path, code_port: int) -> Iterator[None]:
    """Dagster's home with its configuration and storage; held alone for the length of the block.

    Two processes that make the storage at the same time leave it with a schema that never opens again.
    """
    from dagster import DagsterInstance

    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "dagster.yaml").exists():
            (home / NOTHING_BUILT).touch()
        _write(home / "dagster.yaml", _INSTANCE_YAML.read_text("utf-8"))
        server = f"{{host: {HOST}, port: {code_port}, location_name: {LOCATION}}}"
        _write(home / "workspace.yaml", f"load_from:\n  - grpc_server: {server}\n")
        DagsterInstance.get().dispose()
        yield


def fail_orphans() -> list[str]:
    """Marks the runs that a former code server left unfinished as failed; returns their ids.

    A run ends with its code server. Were it left as running, it would hold back whatever builds the same tables.
    """
    from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

    # By this tag Dagster remembers which code server it gave a run to; one started at a terminal has none.
    served = ".dagster/grpc_info"
    unfinished = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
    with DagsterInstance.get() as instance:
        runs = [run for run in instance.get_runs(RunsFilter(statuses=unfinished)) if served in run.tags]
        for run in runs:
            instance.report_run_failed(run, "The code server ended while this run was going on, and the run with it.")
    return [run.run_id for run in runs]


def _write(file: Path, text: str) -> None:
    if not file.exists() or file.read_text("utf-8") != text:
        file.write_text(text, "utf-8")


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except MeterhouseError as error:
        tell(error)
        sys.exit(error.exit_code)
