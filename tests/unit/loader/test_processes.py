"""Several loaders under one command, with processes that only do as they are told."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.embedded.processes import identity
from ingest.errors import MeterhouseError, SettingsError
from ingest.loader import processes
from ingest.loader.processes import LoaderProcessError, Share, run_processes
from ingest.settings import load_settings

WAITS = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); print(flush=True); time.sleep(60)"
)
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"


class Stage:
    """Starts what each share is told to run, once the others are ready."""

    def __init__(self, *scripts: str) -> None:
        self._scripts = scripts
        self.started: list[subprocess.Popen[bytes]] = []

    def __call__(self, share: Share) -> "subprocess.Popen[bytes]":
        argv = [sys.executable, "-c", self._scripts[share.number - 1]]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE)
        if self._scripts[share.number - 1] in (WAITS, DEAF):
            assert process.stdout is not None
            process.stdout.readline()
        self.started.append(process)
        return process

    def run(self, *, drain: bool = False) -> None:
        run_processes(len(self._scripts), self, drain=drain, drain_deadline_s=5)

    @property
    def codes(self) -> list[int | None]:
        return [process.poll() for process in self.started]


def until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_drain_ends_when_each_has_ended() -> None:
    stage = Stage("pass", "import time; time.sleep(0.3)")
    stage.run(drain=True)
    assert stage.codes == [0, 0]


def test_one_that_fails_ends_the_others_and_lends_its_exit_code() -> None:
    stage = Stage(WAITS, "import sys; sys.exit(3)", WAITS)
    with pytest.raises(LoaderProcessError, match=r"Process 2/3 .* exit code 3.*Nothing is lost") as caught:
        stage.run()
    assert caught.value.exit_code == 3
    assert stage.codes == [0, 3, 0]


def test_one_that_is_killed_ends_the_others_and_is_named() -> None:
    stage = Stage(WAITS, "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(LoaderProcessError, match=r"Process 2/2 of the loader was killed by signal 9") as caught:
        stage.run(drain=True)
    assert (caught.value.exit_code, stage.codes) == (1, [0, -9])


def test_a_service_of_which_one_ends_by_itself_is_no_half_service() -> None:
    stage = Stage(WAITS, "pass")
    with pytest.raises(MeterhouseError, match="though nobody asked it to"):
        stage.run()
    assert stage.codes == [0, 0]


def stopped(stage: Stage) -> None:
    """Runs it, and asks this process to stop when all are there."""

    def stop() -> None:
        until(lambda: len(stage.started) == 2)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop).start()
    stage.run()


def test_a_stop_is_passed_on_and_is_no_error() -> None:
    stage = Stage(WAITS, WAITS)
    stopped(stage)
    assert stage.codes == [0, 0]


def test_a_stop_while_one_is_still_starting_is_no_error_and_hides_none() -> None:
    starting = "import time; time.sleep(60)"
    stage = Stage(starting, "import sys; sys.exit(3)")
    with pytest.raises(LoaderProcessError, match="Process 2/2"):
        stage.run()
    assert stage.codes == [-signal.SIGTERM, 3]
    stage = Stage(starting, WAITS)
    stopped(stage)
    assert stage.codes == [-signal.SIGTERM, 0]


def test_one_that_does_not_hear_is_killed_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_PATIENCE_S", -4.8)
    stage = Stage(DEAF, "import sys; sys.exit(1)")
    # Named is the one that failed, not the one that had to be killed for it.
    with pytest.raises(LoaderProcessError, match="Process 2/2"):
        stage.run()
    assert stage.codes == [-9, 1]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel tells children of their parent's end")
def test_processes_do_not_outlive_a_command_that_was_killed(tmp_path: Path) -> None:
    parent = f"""
import subprocess, sys
from ingest.embedded.processes import die_with_parent
from ingest.loader import processes
real = subprocess.Popen
def child(argv, **more):
    process = real([sys.executable, "-c", {WAITS!r}], stdout=subprocess.PIPE, **more)
    process.stdout.readline()
    open({str(tmp_path)!r} + f"/{{process.pid}}", "w").close()
    return process
processes.subprocess.Popen = child
processes.run_processes(2, processes.one_of([]), drain=False, drain_deadline_s=5)
"""
    process = subprocess.Popen([sys.executable, "-c", parent])
    until(lambda: len(list(tmp_path.iterdir())) == 2)
    children = [int(path.name) for path in tmp_path.iterdir()]
    process.kill()
    process.wait()
    until(lambda: not any(identity(child) for child in children))


def test_each_has_a_port_of_its_own_and_the_first_the_one_that_is_set() -> None:
    settings = load_settings(metrics_port=9000)
    shares = [Share.parse(text) for text in ("1/3", "2/3", "3/3")]
    assert [share.of_settings(settings).metrics_port for share in shares] == [9000, 9001, 9002]
    assert Share(2, 2).of_settings(load_settings(metrics_port=0)).metrics_port == 0
    with pytest.raises(SettingsError, match="would listen on port 65536"):
        Share(2, 2).of_settings(load_settings(metrics_port=65535))


@pytest.mark.parametrize("text", ["", "2", "0/2", "3/2", "a/b", "-1/2"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="Expected a share such as 2/3"):
        Share.parse(text)
