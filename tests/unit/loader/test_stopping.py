"""What ends a loader that something holds: each net is tried in a process of its own, or on a clock that is moved."""

import signal
import subprocess
import sys
import textwrap
import threading

from structlog.testing import capture_logs

from ingest.loader.clock import SYSTEM_CLOCK
from ingest.loader.stopping import Ending

HELD_S = 60


def run(script: str) -> "subprocess.Popen[str]":
    argv = [sys.executable, "-c", textwrap.dedent(script)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_close_that_never_returns_is_left_behind_and_said() -> None:
    ending, released = Ending(SYSTEM_CLOCK, 0.0), threading.Event()
    with capture_logs() as logs:
        ending.close("consumer", lambda: released.wait(HELD_S))
        ending.close("another", lambda: None)
    released.set()
    assert [(line["event"], line["what"]) for line in logs] == [("close_left_behind", "consumer")]


def test_work_that_hangs_in_a_thread_does_not_hold_the_process() -> None:
    process = run(
        f"""
        import threading, time
        from ingest.errors import WorkAbandonedError
        from ingest.loader.stopping import not_held_by_threads
        threading.Thread(target=time.sleep, args=({HELD_S},)).start()
        with not_held_by_threads():
            raise WorkAbandonedError("3 runs left")
        """
    )
    _, said = process.communicate(timeout=HELD_S / 2)
    assert (process.returncode, "error: 3 runs left" in said) == (3, True), said


def test_a_process_that_is_held_as_a_whole_shows_its_stacks_and_ends() -> None:
    process = run(
        f"""
        import ctypes, threading
        from ingest.loader.stopping import _LAST_NET_S, stop_on_signals
        stopping = threading.Event()
        with stop_on_signals(stopping, 0.2 - _LAST_NET_S):
            print("ready", flush=True)
            stopping.wait()
            ctypes.PyDLL(None).sleep({HELD_S})  # with Python's lock in hand: no thread of Python's can do anything
        """
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=HELD_S / 2)
    assert process.returncode == 1
    assert "most recent call first" in said


def test_a_stop_in_time_leaves_no_timer_behind() -> None:
    process = run(
        """
        import os, signal, threading, time
        from ingest.loader.stopping import _LAST_NET_S, stop_on_signals
        stopping = threading.Event()
        with stop_on_signals(stopping, 0.3 - _LAST_NET_S):
            os.kill(os.getpid(), signal.SIGTERM)
            stopping.wait()
        time.sleep(0.6)
        print("alive")
        """
    )
    said, errors = process.communicate(timeout=HELD_S / 2)
    assert (process.returncode, said) == (0, "alive\n"), errors
