"""The client against a small HTTP server that answers as it is told: nothing lost, nothing waited for, bounded."""

import gzip
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ingest.api.signatures import sign
from ingest.client import Client

SECRET = "not a real secret"
Answer = tuple[int, dict[str, str], object]


@dataclass
class Stand:
    """A front door of sorts. `answers` are taken in turn; without one it accepts all."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    batches: list[list[dict[str, object]]] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)

    @property
    def ids(self) -> list[object]:
        return [event["event_id"] for batch in self.batches for event in batch]

    def take(self, headers: dict[str, str], body: bytes) -> Answer:
        self.hold.wait(20)
        signed = sign(SECRET, headers["x-meterhouse-timestamp"], body)
        if signed != headers["x-meterhouse-signature"]:
            return 401, {}, {"error": {"code": "unsigned", "message": "no"}}
        unpacked = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
        events = [json.loads(line) for line in unpacked.splitlines()]
        if self.answers:
            status, more, content = self.answers.pop(0)
            if status == 200:
                self.batches.append(events)
            return status, more, content
        self.batches.append(events)
        return 200, {}, {"accepted": len(events), "refused": 0, "errors": []}


@pytest.fixture
def stand() -> Iterator[Stand]:
    made = Stand()
    made.hold.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status, more, content = made.take({name.lower(): value for name, value in self.headers.items()}, body)
            said = json.dumps(content).encode()
            self.send_response(status)
            for name, value in {**more, "content-length": str(len(said))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002  # the base class's name

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    yield made
    made.hold.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(stand: Stand) -> Iterator[Client]:
    with Client(stand.url, "key", SECRET, flush_every_s=0.02) as made:
        yield made


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_is_sent_arrives_once_with_an_id_and_a_time_of_its_own(stand: Stand, client: Client) -> None:
    for number in range(1_200):
        assert client.send({"event_type": "llm_call", "input_tokens": number})
    assert client.flush()
    events = [event for batch in stand.batches for event in batch]
    assert [event["input_tokens"] for event in events] == list(range(1_200))
    assert len(set(stand.ids)) == 1_200
    assert max(len(batch) for batch in stand.batches) <= 500
    assert all(isinstance(event["occurred_at"], int) for event in events)
    assert (client.counts.accepted, client.counts.waiting) == (1_200, 0)


def test_while_the_front_door_refuses_for_now_the_same_event_is_sent_again_under_the_same_id(
    stand: Stand, client: Client
) -> None:
    stand.answers = [(503, {"retry-after": "0"}, {}), (429, {"retry-after": "0"}, {}), (500, {"retry-after": "0"}, {})]
    client.send({"event_type": "tool_call", "event_id": "11111111-1111-4111-8111-111111111111"})
    assert client.flush()
    assert stand.ids == ["11111111-1111-4111-8111-111111111111"]
    assert client.counts.retries == 3


def test_an_answer_that_never_came_is_asked_for_again(stand: Stand) -> None:
    port = stand.url.rsplit(":", 1)[1]
    away = Client("http://127.0.0.1:1", "key", SECRET, flush_every_s=0.02)
    away.send({"event_type": "tool_call"})
    until(lambda: away.counts.retries > 0)
    assert away.counts.waiting == 1
    away._url = away._url._replace(netloc=f"127.0.0.1:{port}")
    assert away.close(10)
    assert len(stand.ids) == 1


def test_events_refused_for_good_are_counted_and_told_and_do_not_hold_up_the_next(
    stand: Stand, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    error = {"index": 0, "error_class": "missing_field", "field": "event_type", "reason": "event_type: is missing."}
    stand.answers = [(400, {}, {"accepted": 0, "refused": 1, "errors": [error]})]
    with caplog.at_level(logging.WARNING, "meterhouse"):
        client.send({})
        assert client.flush()
    client.send({"event_type": "tool_call"})
    assert client.flush()
    assert (client.counts.refused, client.counts.accepted) == (1, 1)
    assert "refused 1 of 1 events for good: event_type: is missing." in caplog.text


def test_a_batch_that_is_too_large_is_halved(stand: Stand, client: Client) -> None:
    stand.hold.clear()
    for _ in range(8):
        client.send({"event_type": "agent_step"})
    stand.answers = [(413, {}, {}), (413, {}, {})]
    stand.hold.set()
    assert client.flush()
    assert len(set(stand.ids)) == len(stand.ids) == 8


def test_send_neither_waits_nor_raises_and_keeps_no_more_than_it_may(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    stand.hold.clear()
    client = Client(stand.url, "key", SECRET, flush_every_s=0.02, most_bytes=10_000)
    began_s = time.monotonic()
    with caplog.at_level(logging.WARNING, "meterhouse"):
        taken = [client.send({"event_type": "agent_step", "agent": "a" * 100}) for _ in range(1_000)]
        assert not client.send({"context": {"what": object()}})
    assert time.monotonic() - began_s < 10  # the front door holds every request for 20
    assert taken.count(True) == client.counts.waiting < 60
    assert client.counts.dropped == 1_001 - taken.count(True)
    assert len(caplog.records) == 2  # a minute's worth of each reason
    stand.hold.set()
    assert client.close(10)
    assert len(stand.ids) == taken.count(True)
    assert not client.send({"event_type": "agent_step"})


def test_a_program_that_just_ends_has_sent_what_it_was_given(stand: Stand) -> None:
    code = (
        "from ingest.client import Client\n"
        "client = Client.from_environment()\n"
        "for _ in range(30): client.send({'event_type': 'agent_step'})\n"
    )
    env = {**os.environ, "METERHOUSE_URL": stand.url, "METERHOUSE_KEY": "key", "METERHOUSE_SECRET": SECRET}
    subprocess.run([sys.executable, "-c", code], env=env, check=True, timeout=60)
    assert len(set(stand.ids)) == 30


def test_a_forked_worker_sends_its_own_events_and_not_its_parents(stand: Stand) -> None:
    code = (
        "import os, time\n"
        "from ingest.client import Client\n"
        "client = Client.from_environment()\n"
        "client.send({'event_type': 'agent_step', 'agent': 'parent'})\n"
        "if os.fork() == 0:\n"
        "    client.send({'event_type': 'agent_step', 'agent': 'child'})\n"
        "    client.close(); os._exit(0)\n"
        "os.wait(); client.close()\n"
    )
    env = {**os.environ, "METERHOUSE_URL": stand.url, "METERHOUSE_KEY": "key", "METERHOUSE_SECRET": SECRET}
    subprocess.run([sys.executable, "-c", code], env=env, check=True, timeout=60)
    assert sorted(str(event["agent"]) for batch in stand.batches for event in batch) == ["child", "parent"]


def test_nothing_but_the_standard_library_comes_with_it() -> None:
    code = (
        "import sys; before = set(sys.modules); import ingest.client\n"
        "import json; more = [m for m in set(sys.modules) - before if m.split('.')[0] not in sys.stdlib_module_names]\n"
        "print(json.dumps(more))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert sorted(json.loads(said)) == ["ingest", "ingest.client"]


@pytest.mark.parametrize(
    ("given", "words"),
    [(("localhost:8080", "k", "s"), "http://host:port"), (("http://localhost", "", "s"), "meterhouse keys make")],
)
def test_a_wrong_address_or_key_is_said_at_once(given: tuple[str, str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Client(*given)


def test_what_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERHOUSE_URL", "http://127.0.0.1:1")
    monkeypatch.delenv("METERHOUSE_KEY", raising=False)
    monkeypatch.delenv("METERHOUSE_SECRET", raising=False)
    with pytest.raises(ValueError, match="METERHOUSE_KEY, METERHOUSE_SECRET not set"):
        Client.from_environment()
