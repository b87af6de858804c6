"""What a scraper and a supervisor see over HTTP."""

import http.client
import json
import socket
from collections.abc import Iterator

import pytest

from ingest.errors import MeterhouseError
from ingest.loader.health import Health, HealthServer
from ingest.loader.metrics import Metric, Metrics


class Probe:
    """Answers what it was told, or raises."""

    def __init__(self) -> None:
        self.health: Health | None = Health(is_alive=True, is_ready=True, reasons=())

    def __call__(self) -> Health:
        if self.health is None:
            raise RuntimeError("broken")
        return self.health


@pytest.fixture
def probe() -> Probe:
    return Probe()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def server(probe: Probe, metrics: Metrics) -> Iterator[HealthServer]:
    made = HealthServer("127.0.0.1", 0, metrics, probe)
    yield made
    made.close()


def ask(server: HealthServer, path: str, method: str = "GET") -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type") or "", answer.read()
    finally:
        connection.close()


def test_metrics_are_served_as_they_are_now(server: HealthServer, metrics: Metrics) -> None:
    metrics.count(Metric.ROWS_LANDED, 7, topic="agent_events")
    status, content_type, body = ask(server, "/metrics")
    assert (status, content_type.split(";")[0]) == (200, "text/plain")
    assert b'meterhouse_loader_rows_landed_total{topic="agent_events"} 7.0' in body
    assert ask(server, "/metrics", "HEAD")[2] == b""


@pytest.mark.parametrize(
    ("alive", "ready", "healthz", "readyz"),
    [(True, True, 200, 200), (True, False, 200, 503), (False, True, 503, 503), (False, False, 503, 503)],
)
def test_the_status_follows_the_probe_and_the_body_says_why(
    server: HealthServer, probe: Probe, alive: bool, ready: bool, healthz: int, readyz: int
) -> None:
    probe.health = Health(alive, ready, ("the loop has not turned for 70 s",))
    assert ask(server, "/healthz")[0] == healthz
    status, content_type, body = ask(server, "/readyz")
    assert (status, content_type) == (readyz, "application/json")
    assert json.loads(body)["reasons"] == ["the loop has not turned for 70 s"]


def test_a_probe_that_breaks_is_not_alive_and_the_server_goes_on(server: HealthServer, probe: Probe) -> None:
    probe.health = None
    status, _, body = ask(server, "/healthz")
    assert (status, json.loads(body)["reasons"]) == (503, ["the probe failed with RuntimeError"])
    probe.health = Health(is_alive=True, is_ready=True, reasons=())
    assert ask(server, "/healthz")[0] == 200


def test_other_paths_are_not_found(server: HealthServer) -> None:
    status, _, body = ask(server, "/")
    assert (status, "/metrics" in json.loads(body)["reasons"][0]) == (404, True)


def test_a_client_that_says_nothing_does_not_keep_others_waiting(server: HealthServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5):
        assert ask(server, "/healthz")[0] == 200


def test_a_taken_port_is_one_sentence_and_a_closed_server_frees_it(metrics: Metrics, probe: Probe) -> None:
    first = HealthServer("127.0.0.1", 0, metrics, probe)
    with pytest.raises(MeterhouseError, match="METERHOUSE_METRICS_PORT"):
        HealthServer("127.0.0.1", first.port, metrics, probe)
    first.close()
    again = HealthServer("127.0.0.1", first.port, metrics, probe)
    assert again.port == first.port
    again.close()
