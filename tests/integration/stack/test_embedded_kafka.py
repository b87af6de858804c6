"""`python -m ingest.embedded kafka`: started, asked, stopped, and what it says when it cannot."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from ingest.embedded import processes
from ingest.embedded.stack import answers_kafka
from ingest.kafka import KafkaAdmin, TopicSpec
from tests.support.servers import Server, free_port, launch
from tests.support.topics import until

COMMAND = [sys.executable, "-m", "ingest.embedded", "kafka"]


def _start(port: int, folder: Path, *more: str) -> Server:
    return launch([*COMMAND, "--port", str(port), *more], folder / "log", lambda: answers_kafka(f"127.0.0.1:{port}"))


def _broker_pid(port: int) -> int:
    owner = processes.port_owner(port)
    assert owner is not None
    return int(owner.split()[1])


def test_sigterm_stops_it_at_once_with_exit_code_zero_and_frees_the_port(tmp_path: Path) -> None:
    port = free_port()
    server = _start(port, tmp_path)
    until(lambda: "listens on" in server.log.read_text(), "the line that says where it listens", server.log.read_text)
    assert f"listens on 127.0.0.1:{port}" in server.log.read_text()
    assert server.stop() == 0
    assert processes.is_port_free("127.0.0.1", port)


def test_the_broker_dies_with_the_command_that_was_killed(tmp_path: Path) -> None:
    port = free_port()
    server = _start(port, tmp_path)
    broker_pid = _broker_pid(port)
    assert broker_pid != server.pid
    server.kill()
    until(lambda: processes.identity(broker_pid) is None, "the broker to be gone")


def test_the_broker_has_one_worker_so_that_batches_of_two_producers_cannot_change_places(tmp_path: Path) -> None:
    port = free_port()
    server = _start(port, tmp_path)
    environment = Path(f"/proc/{_broker_pid(port)}/environ").read_bytes().split(b"\0")
    assert b"TOKIO_WORKER_THREADS=1" in environment
    assert server.stop() == 0


def test_a_broker_that_dies_ends_the_command_with_a_sentence(tmp_path: Path) -> None:
    port = free_port()
    server = _start(port, tmp_path)
    os.kill(_broker_pid(port), signal.SIGKILL)
    assert server.process.wait(20) == 1
    assert f"error: The embedded broker on 127.0.0.1:{port} ended by itself" in server.log.read_text()


def test_a_taken_port_is_one_sentence_and_exit_code_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        answer = _run("--port", str(port))
    assert answer.returncode == 1
    [line] = answer.stderr.strip().splitlines()
    assert f"Port {port} on 127.0.0.1" in line
    assert f"pid {os.getpid()}" in line
    assert "METERHOUSE_EMBEDDED_KAFKA_PORT" in line


def test_a_missing_binary_is_one_sentence() -> None:
    answer = _run("--port", str(free_port()), env={"CALF_TANSU_BIN": "/nowhere/tansu"})
    assert answer.returncode == 1
    [line] = answer.stderr.strip().splitlines()
    assert "/nowhere/tansu" in line
    assert "METERHOUSE_KAFKA_BOOTSTRAP" in line


def test_a_wrong_port_is_refused_by_name() -> None:
    answer = _run("--port", "70000")
    assert answer.returncode == 2
    [line] = answer.stderr.strip().splitlines()
    assert "METERHOUSE_EMBEDDED_KAFKA_PORT" in line
    assert "70000" in line


def test_the_brokers_own_words_go_to_the_file_when_asked(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "broker.log"
    server = _start(free_port(), tmp_path, "--log-file", str(log))
    assert "tansu broker" in log.read_text()
    assert "tansu broker" not in server.log.read_text()
    server.stop()


def test_a_restarted_broker_has_forgotten_everything_and_gives_new_topic_ids(tmp_path: Path) -> None:
    port = free_port()
    ids = []
    for _ in range(2):
        server = _start(port, tmp_path)
        with KafkaAdmin(f"127.0.0.1:{port}", {}) as admin:
            assert admin.cluster().topics == ()
            admin.ensure_topics([TopicSpec("events", 3)])
            ids.append(admin.describe(["events"])["events"].topic_id)
        server.stop()
    assert ids[0] != ids[1]


def _run(*arguments: str, env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **(env or {})},
    )
