"""A Kafka that is away, mute or locked: one sentence within the deadline, naming where, why and what to set."""

import socket
import threading
from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError
from structlog.testing import capture_logs

from ingest.kafka import KafkaAdmin, KafkaProblem, KafkaUnavailableError, TopicSpec, lag
from ingest.kafka_errors import ErrorLog
from tests.support.servers import free_port


@pytest.fixture
def mute_port() -> Iterator[int]:
    """A server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        held: list[socket.socket] = []
        done = threading.Event()

        def accept() -> None:
            while not done.is_set():
                try:
                    held.append(server.accept()[0])
                except TimeoutError:
                    continue

        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1]
        done.set()
        thread.join()
        for one in held:
            one.close()


def test_nobody_listens() -> None:
    address = f"127.0.0.1:{free_port()}"
    with KafkaAdmin(address, {}, timeout_s=1) as admin:
        for ask in (admin.cluster, lambda: admin.describe(["x"]), lambda: admin.ensure_topics([TopicSpec("x", 1)])):
            with pytest.raises(KafkaUnavailableError) as caught:
                ask()
            assert caught.value.problem is KafkaProblem.UNREACHABLE
            assert f"Kafka at {address} cannot be reached" in str(caught.value)
            assert "Connection refused" in str(caught.value)
            assert "METERHOUSE_KAFKA_BOOTSTRAP" in str(caught.value)


def test_a_name_that_does_not_resolve_is_told_as_such() -> None:
    with (
        KafkaAdmin("no-such-host.invalid:9092", {}, timeout_s=1) as admin,
        pytest.raises(KafkaUnavailableError, match="Failed to resolve"),
    ):
        admin.cluster()


def test_a_server_that_accepts_and_never_answers_ends_every_call_within_its_deadline(mute_port: int) -> None:
    with KafkaAdmin(f"127.0.0.1:{mute_port}", {}, timeout_s=0.5) as admin:
        for ask in (admin.cluster, lambda: admin.describe(["x"]), lambda: admin.delete_topics(["x"])):
            with pytest.raises(KafkaUnavailableError) as caught:
                ask()
            assert caught.value.problem is KafkaProblem.UNREACHABLE


@pytest.mark.parametrize(("next_offset", "high", "expected"), [(0, 0, 0), (3, 10, 7), (10, 10, 0), (10, 1, 0)])
def test_lag_is_never_below_zero(next_offset: int, high: int, expected: int) -> None:
    assert lag(next_offset, high) == expected


def test_repeated_complaints_are_logged_once_in_a_while_with_their_number() -> None:
    now = [0.0]
    complain = ErrorLog(every_s=10, clock=lambda: now[0])
    down, resolve = KafkaError(KafkaError._TRANSPORT, "down"), KafkaError(KafkaError._RESOLVE, "who?")
    with capture_logs() as logged:
        for second in range(11):
            now[0] = float(second)
            complain(down)
        complain(resolve)
    assert [(line["code"], line["repeated"]) for line in logged] == [
        ("_TRANSPORT", 0),
        ("_TRANSPORT", 9),
        ("_RESOLVE", 0),
    ]
