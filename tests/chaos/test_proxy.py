"""The faulty proxy does to a request exactly what its mode says, and nothing in `pass`."""

import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.chaos.http_wire import Request
from tests.chaos.proxy import FaultyProxy, Stage

BODY = b"x" * 200_000


class _Upstream(ThreadingHTTPServer):
    """Answers a POST with how many bytes came; remembers whole ones only."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[bytes] = []
        self.whole = threading.Semaphore(0)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        assert isinstance(self.server, _Upstream)
        wanted = int(self.headers["Content-Length"])
        body = self.rfile.read(wanted)
        if len(body) == wanted:
            self.server.bodies.append(body)
            self.server.whole.release()
        answer = b"%d" % len(body)
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(answer), answer))

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def upstream() -> Iterator[_Upstream]:
    server = _Upstream()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def proxy(upstream: _Upstream) -> Iterator[FaultyProxy]:
    made = FaultyProxy(0, upstream.server_address[1], seed=1)
    yield made
    made.close()


@pytest.fixture
def client(proxy: FaultyProxy) -> Iterator[http.client.HTTPConnection]:
    made = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
    yield made
    made.close()


def _post(client: http.client.HTTPConnection) -> tuple[int, bytes]:
    client.request("POST", "/?query=insert+into+t", BODY)
    answer = client.getresponse()
    return answer.status, answer.read()


def test_what_passes_arrives_whole_and_the_connection_lives_on(
    client: http.client.HTTPConnection, upstream: _Upstream
) -> None:
    assert _post(client) == (200, b"200000")
    assert _post(client) == (200, b"200000")
    assert upstream.bodies == [BODY, BODY]


def test_a_refused_request_never_reaches_the_engine(
    client: http.client.HTTPConnection, proxy: FaultyProxy, upstream: _Upstream
) -> None:
    proxy.set("refuse")
    assert _post(client)[0] in (500, 503)
    assert upstream.bodies == []
    assert proxy.faults == 1


def test_a_reset_in_the_middle_of_the_body_gives_the_engine_half_a_request(
    client: http.client.HTTPConnection, proxy: FaultyProxy, upstream: _Upstream
) -> None:
    proxy.set("reset")
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        _post(client)
    assert upstream.bodies == []


def test_a_dropped_answer_means_that_the_engine_did_it_and_nobody_heard(
    client: http.client.HTTPConnection, proxy: FaultyProxy, upstream: _Upstream
) -> None:
    proxy.set("drop_answer")
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        _post(client)
    assert upstream.bodies == [BODY]


def test_a_late_request_arrives_after_its_sender_has_given_up(
    proxy: FaultyProxy, upstream: _Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    gave_up = threading.Event()
    monkeypatch.setattr("tests.chaos.proxy.time.sleep", lambda _: gave_up.wait(10))
    proxy.set("late")
    impatient = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=0.1)
    with pytest.raises(TimeoutError):
        _post(impatient)
    impatient.close()
    assert upstream.bodies == []
    gave_up.set()
    assert upstream.whole.acquire(timeout=10)
    assert upstream.bodies == [BODY]


def test_a_hanging_request_is_let_go_when_the_mode_changes(
    client: http.client.HTTPConnection, proxy: FaultyProxy, upstream: _Upstream
) -> None:
    has_come = threading.Event()
    proxy.at_request = lambda _request, _stage: has_come.set()
    proxy.set("hang")
    client.request("POST", "/", BODY)
    assert has_come.wait(10)
    proxy.set("pass")
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        client.getresponse()
    assert upstream.bodies == []


def test_a_hook_sees_a_request_before_the_engine_and_after_its_answer(
    client: http.client.HTTPConnection, proxy: FaultyProxy, upstream: _Upstream
) -> None:
    seen: list[tuple[str, Stage, int]] = []

    def hook(request: Request, stage: Stage) -> None:
        seen.append((request.statement.split("\n")[0], stage, len(upstream.bodies)))

    proxy.at_request = hook
    _post(client)
    assert seen == [("/?query=insert into t", "before", 0), ("/?query=insert into t", "after", 1)]
