"""Parts kept in the background, with small HTTP servers as parts: what is remembered is always the truth."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ingest.embedded import processes
from ingest.embedded.parts import Keeper, Part
from ingest.embedded.stack import answers_ok
from ingest.errors import MeterhouseError
from tests.support.servers import free_port

HTTP_SERVER = "import http.server, sys; http.server.test(http.server.SimpleHTTPRequestHandler, port=int(sys.argv[1]))"
DEAF_SERVER = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {HTTP_SERVER}"


def _part(name: str, port: int, code: str = HTTP_SERVER, **changes: float) -> Part:
    return Part(
        name=name,
        argv=(sys.executable, "-c", code, str(port)),
        address=f"http://127.0.0.1:{port}",
        is_healthy=lambda: answers_ok(f"http://127.0.0.1:{port}/", 1.0),
        port=port,
        port_variable="METERHOUSE_SOME_PORT",
        ready_within_s=changes.get("ready_within_s", 20.0),
        stop_within_s=changes.get("stop_within_s", 10.0),
    )


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def keeper(tmp_path: Path, said: list[str]) -> Iterator[Keeper]:
    made = Keeper(tmp_path / "home", said.append)
    yield made
    made.stop()


def test_a_second_start_leaves_the_running_part_alone(keeper: Keeper, said: list[str]) -> None:
    part = _part("web", free_port())
    assert keeper.start([part]) == ["web"]
    before = keeper.state(part)
    assert before.state == "running"
    assert keeper.start([part]) == []
    assert keeper.state(part) == before
    assert f"web already runs on {part.address}, pid {before.pid}" in said


def test_another_process_can_see_and_stop_what_this_one_started(keeper: Keeper, tmp_path: Path) -> None:
    part = _part("web", free_port())
    keeper.start([part])
    other = Keeper(tmp_path / "home")
    assert other.state(part).state == "running"
    # The parent must reap its child for the other to see it gone, as init does for a command that has ended.
    reaper = threading.Thread(target=lambda: [child.wait() for child in list(keeper._children.values())])
    reaper.start()
    assert other.stop() == ["web"]
    reaper.join(10)
    assert other.state(part).state == "stopped"
    assert processes.is_port_free("127.0.0.1", part.port or 0)


def test_parts_that_start_within_one_second_stop_newest_first(keeper: Keeper) -> None:
    sleepers = [
        Part(name, (sys.executable, "-c", "import time; time.sleep(60)"), "nowhere", lambda: True)
        for name in ("c", "a", "d", "b")
    ]
    assert keeper.start(sleepers) == ["c", "a", "d", "b"]
    assert keeper.stop() == ["b", "d", "a", "c"]


def test_stopping_twice_is_fine(keeper: Keeper) -> None:
    keeper.start([_part("web", free_port())])
    assert keeper.stop() == ["web"]
    assert keeper.stop() == []


def test_a_part_that_ignores_sigterm_is_killed_after_its_deadline(keeper: Keeper, said: list[str]) -> None:
    part = _part("deaf", free_port(), DEAF_SERVER, stop_within_s=0.3)
    keeper.start([part])
    assert keeper.stop() == ["deaf"]
    assert "did not stop within 0.3 s and was killed" in said[-1]
    assert processes.is_port_free("127.0.0.1", part.port or 0)


def test_a_killed_part_is_reported_died_and_started_again(keeper: Keeper, said: list[str]) -> None:
    part = _part("web", free_port())
    keeper.start([part])
    pid = keeper.state(part).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert keeper.state(part).state == "died"
    assert keeper.start([part]) == ["web"]
    assert any("the stale state was removed" in line for line in said)
    assert keeper.state(part).state == "running"


def test_a_recycled_pid_is_not_taken_for_the_part_and_not_stopped(keeper: Keeper, tmp_path: Path) -> None:
    part = _part("web", free_port())
    keeper.start([part])
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        file = tmp_path / "home" / "run" / "web.json"
        real = json.loads(file.read_text())
        file.write_text(json.dumps({**real, "pid": stranger.pid}))
        assert keeper.state(part).state == "died"
        assert keeper.stop() == []
        assert stranger.poll() is None
        assert processes.stop(real["pid"], real["identity"], within_s=5, wait=lambda: keeper._reap(real["pid"]))
        stranger.communicate(b"\n")


def test_a_taken_port_is_refused_with_who_holds_it(keeper: Keeper) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(MeterhouseError) as refused:
            keeper.start([_part("web", port)])
    sentence = str(refused.value)
    assert f"Port {port} on 127.0.0.1" in sentence
    assert f"pid {os.getpid()} (" in sentence
    assert "METERHOUSE_SOME_PORT" in sentence


def test_when_a_part_fails_to_start_those_started_before_it_are_stopped(keeper: Keeper) -> None:
    good, bad = _part("good", free_port()), _part("bad", free_port(), "raise SystemExit('no luck today')")
    with pytest.raises(MeterhouseError, match=r"bad ended while starting \(no luck today\): see .*bad\.log"):
        keeper.start([good, bad])
    assert keeper.state(good).state == "stopped"
    assert keeper.state(bad).state == "stopped"


def test_a_part_that_never_answers_is_stopped_with_a_sentence(keeper: Keeper) -> None:
    mute = _part("mute", free_port(), "import time; time.sleep(60)", ready_within_s=0.5)
    with pytest.raises(MeterhouseError, match=r"mute \(pid \d+\) does not answer on .* within 0.5 s"):
        keeper.start([mute])
    assert keeper.remembered() == {}


def test_a_changed_port_is_refused_while_the_part_runs_elsewhere(keeper: Keeper) -> None:
    keeper.start([_part("web", free_port())])
    with pytest.raises(MeterhouseError, match="but the settings say"):
        keeper.start([_part("web", free_port())])


def test_a_state_file_that_is_no_json_is_removed_and_said_so(keeper: Keeper, said: list[str], tmp_path: Path) -> None:
    file = tmp_path / "home" / "run" / "web.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"\0half a fi")
    assert keeper.start([_part("web", free_port())]) == ["web"]
    assert "could not be read and was removed" in said[0]


def test_a_home_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MeterhouseError, match="set METERHOUSE_HOME"):
        Keeper(tmp_path / "file" / "home").stop()


def test_logs_are_two_generations_and_no_more(keeper: Keeper) -> None:
    part = _part("web", free_port())
    for _ in range(3):
        keeper.start([part])
        keeper.stop()
    names = sorted(file.name for file in keeper.log_file("web").parent.iterdir())
    assert names == ["web.log", "web.log.1"]


def test_two_starts_at_once_start_a_part_once(keeper: Keeper, tmp_path: Path) -> None:
    part, other = _part("web", free_port()), Keeper(tmp_path / "home")
    with ThreadPoolExecutor(2) as pool:
        started = list(pool.map(lambda one: one.start([part]), (keeper, other)))
    assert sorted(started) == [[], ["web"]]
    assert keeper.state(part).state == "running"
    other.stop()
