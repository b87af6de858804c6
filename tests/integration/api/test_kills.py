"""Killing and starving: what was acknowledged is there, what was not may be sent again, and nobody waits for ever."""

import json
import os
import signal
import socket
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

import pytest

from ingest.embedded.stack import answers_kafka
from tests.conftest import Broker
from tests.support import apache_kafka as apache
from tests.support.door import RunningDoor, start_door
from tests.support.servers import Server, free_port, launch

BATCHES, BATCH = 60, 50


def event() -> dict[str, object]:
    return {"event_id": str(uuid.uuid4()), "event_type": "agent_step", "occurred_at": time.time_ns() // 1_000_000}


class Load:
    """Threads that send batches, each until it is acknowledged, whatever happens to the server meanwhile."""

    def __init__(self, door: RunningDoor) -> None:
        self.door = door
        self.batches = [[event() for _ in range(BATCH)] for _ in range(BATCHES)]
        self.acknowledged: set[int] = set()
        self.resent = 0
        self._pool = ThreadPoolExecutor(4)
        self._senders = [self._pool.submit(self._send, part) for part in range(4)]

    def _send(self, part: int) -> None:
        for number in range(part, BATCHES, 4):
            content = json.dumps(self.batches[number]).encode()
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                try:
                    status = self.door.post("/v1/events", content).status
                except (OSError, HTTPException):  # nobody there, or killed within an answer
                    status = 0
                if status == 200:
                    self.acknowledged.add(number)
                    break
                assert status in (0, 503), status
                self.resent += 1
                time.sleep(0.1)

    def wait_for(self, count: int) -> None:
        deadline = time.monotonic() + 60
        while len(self.acknowledged) < count:
            assert time.monotonic() < deadline, f"{len(self.acknowledged)} of {count} acknowledged"
            time.sleep(0.01)

    def check(self) -> None:
        """Every batch was acknowledged in the end, and all their events are there."""
        for sender in self._senders:
            sender.result(90)
        assert len(self.acknowledged) == BATCHES
        expected = {one["event_id"] for batch in self.batches for one in batch}
        found = [json.loads(message.value() or b"")["event_id"] for message in self.door.messages("agent_events")]
        assert set(found) == expected
        assert len(found) <= len(expected) + self.resent * BATCH


def test_a_killed_server_has_lost_nothing_it_acknowledged(broker: Broker, tmp_path: Path, prefix: str) -> None:
    door = start_door(tmp_path, broker.bootstrap, prefix=prefix, more={"METERHOUSE_API_GRPC": "false"})
    load = Load(door)
    load.wait_for(BATCHES // 4)
    door.server.kill()
    again = start_door(tmp_path, broker.bootstrap, prefix=prefix, port=door.port, more={"METERHOUSE_API_GRPC": "false"})
    try:
        load.check()
    finally:
        assert again.server.stop() == 0


def test_a_killed_kafka_has_lost_nothing_the_server_acknowledged(tmp_path: Path, prefix: str) -> None:
    reason = apache.why_absent()
    if reason is not None:
        (pytest.fail if apache.is_required() else pytest.skip)(reason)
    kafka = apache.ApacheKafka(tmp_path / "kafka")
    kafka.start()
    try:
        door = start_door(tmp_path, kafka.bootstrap, prefix=prefix, more={"METERHOUSE_API_GRPC": "false"})
        load = Load(door)
        load.wait_for(BATCHES // 4)
        kafka.kill()
        kafka.start()
        load.check()
        door.server.stop()
    finally:
        kafka.stop()


def start_broker(folder: Path, port: int) -> Server:
    argv = [sys.executable, "-m", "ingest.embedded", "kafka", "--port", str(port)]
    return launch(argv, folder / "broker.log", lambda: answers_kafka(f"127.0.0.1:{port}"))


def test_a_kafka_that_is_away_is_told_and_one_that_forgot_all_is_used_again(tmp_path: Path) -> None:
    port = free_port()
    broker = start_broker(tmp_path, port)
    more = {"METERHOUSE_API_ACK_TIMEOUT_S": "2", "METERHOUSE_API_QUEUE_BYTES": "60000", "METERHOUSE_API_GRPC": "false"}
    door = start_door(tmp_path, f"127.0.0.1:{port}", more=more)
    try:
        assert door.post("/v1/events", json.dumps([event()]).encode()).status == 200
        broker.kill()
        content = json.dumps([event() for _ in range(300)]).encode()
        answers = []
        senders = [threading.Thread(target=lambda: answers.append(door.post("/v1/events", content))) for _ in range(4)]
        for thread in senders:
            thread.start()
        for thread in senders:
            thread.join(30)
        assert {answer.status for answer in answers} == {503}
        codes = {json.loads(answer.body)["error"]["code"] for answer in answers}
        assert codes == {"queue_full", "not_acknowledged"}
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
        assert door.request("GET", "/healthz").status == 200
        assert door.request("GET", "/readyz").status == 503
        broker = start_broker(tmp_path, port)
        deadline = time.monotonic() + 40
        while door.post("/v1/events", content).status != 200:
            assert time.monotonic() < deadline, door.server.log.read_text()[-1500:]
            time.sleep(0.2)
        assert door.request("GET", "/readyz").status == 200
        assert door.metric("meterhouse_door_queue_messages") == 0
    finally:
        door.server.stop()
        broker.stop()


def test_a_stop_finishes_what_is_on_its_way_and_slow_clients_are_not_waited_for(
    broker: Broker, tmp_path: Path, prefix: str
) -> None:
    more = {"METERHOUSE_API_READ_TIMEOUT_S": "1", "METERHOUSE_API_GRPC": "false"}
    door = start_door(tmp_path, broker.bootstrap, prefix=prefix, more=more)
    with (
        socket.create_connection(("127.0.0.1", door.port), timeout=20) as slow_head,
        socket.create_connection(("127.0.0.1", door.port), timeout=20) as slow_body,
    ):
        slow_head.sendall(b"POST /v1/ev")
        signing = "".join(f"{name}: {value}\r\n" for name, value in door.signing(b"x").items())
        slow_body.sendall(f"POST /v1/events HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n{signing}\r\n[".encode())
        assert b" 408 " in slow_head.recv(4_096)
        assert b" 408 " in slow_body.recv(4_096)

    # One whose body is half here when the stop comes: it is finished, and its event is in Kafka.
    batch = [event()]
    content = json.dumps(batch).encode()
    signing = "".join(f"{name}: {value}\r\n" for name, value in door.signing(content).items())
    with socket.create_connection(("127.0.0.1", door.port), timeout=20) as client:
        head = f"POST /v1/events HTTP/1.1\r\nhost: a\r\ncontent-length: {len(content)}\r\n{signing}\r\n"
        client.sendall(head.encode() + content[:10])
        while door.metric("meterhouse_door_requests_in_work") < 1:
            time.sleep(0.01)
        os.kill(door.server.pid, signal.SIGTERM)
        client.sendall(content[10:])
        assert b" 200 " in client.recv(4_096)
    assert door.server.process.wait(20) == 0
    found = [json.loads(message.value() or b"")["event_id"] for message in door.messages("agent_events")]
    assert found == [batch[0]["event_id"]]
