"""A stall is told once, with the stacks, and again only after the loop has turned."""

import io
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ingest.loader.watchdog import Watchdog
from tests.support.clock import ManualClock


def test_one_dump_for_each_stall() -> None:
    clock, dump = ManualClock(), io.StringIO()
    watchdog = Watchdog(60, dump, clock)
    with capture_logs() as logs:
        clock.advance(59)
        watchdog.look()
        assert (watchdog.stalled_for(), dump.getvalue(), logs) == (0, "", [])
        for _ in range(3):
            clock.advance(10)
            watchdog.look()
        assert watchdog.stalled_for() == 89
        assert dump.getvalue().count("test_one_dump_for_each_stall") == 1
        watchdog.beat()
        assert watchdog.stalled_for() == 0
        watchdog.look()
        clock.advance(60)
        watchdog.look()
    assert [entry["event"] for entry in logs] == ["loop_stalled", "loop_resumed", "loop_stalled"]
    assert [logs[0]["stalled_for_s"], logs[1]["stood_for_s"]] == [69.0, 89.0]
    assert dump.getvalue().count("test_one_dump_for_each_stall") == 2


def test_a_real_file_gets_the_stacks_of_all_threads_from_the_watching_thread(tmp_path: Path) -> None:
    path = tmp_path / "stacks"
    with path.open("w") as dump:
        watchdog = Watchdog(0.05, dump)
        watchdog.start()
        # A stall of this thread: it waits for the watching one to have written.
        for _ in range(200):
            if "test_a_real_file" in path.read_text():
                break
            watchdog._closing.wait(0.05)
        watchdog.close()
        watchdog.close()
    text = path.read_text()
    assert "test_a_real_file" in text
    assert text.count("most recent call first") >= 2


def test_no_time_is_no_stall_time() -> None:
    with pytest.raises(ValueError, match="more than 0"):
        Watchdog(0)
