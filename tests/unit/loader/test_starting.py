"""What a loader waits for at its start, for how long, and what it does not wait for."""

import threading

import pytest
from structlog.testing import capture_logs

from ingest.errors import MeterhouseError, SettingsError
from ingest.kafka import KafkaProblem, KafkaUnavailableError
from ingest.loader.retry import Stopped
from ingest.loader.starting import wait_for
from ingest.warehouse import WarehouseUnavailableError
from tests.support.clock import ManualClock

AWAY = (
    WarehouseUnavailableError("ClickHouse at a cannot be reached"),
    KafkaUnavailableError("Kafka at b cannot be reached", "start it", KafkaProblem.UNREACHABLE),
)


@pytest.mark.parametrize("away", AWAY)
def test_a_server_that_comes_late_is_waited_for_and_the_log_says_so(away: MeterhouseError) -> None:
    clock, tries = ManualClock(), []

    def action() -> str:
        tries.append(clock.monotonic())
        if len(tries) < 5:
            raise away
        return "there"

    with capture_logs() as logs:
        assert wait_for("connecting", action, 300, threading.Event(), clock) == "there"
    assert [line["event"] for line in logs] == ["waiting"] * 4
    assert all("cannot be reached" in line["words"] for line in logs)


@pytest.mark.parametrize("away", AWAY)
def test_after_the_deadline_the_sentence_names_the_server(away: MeterhouseError) -> None:
    clock = ManualClock()

    def action() -> None:
        raise away

    with pytest.raises(MeterhouseError, match=r"connecting failed .* cannot be reached.*METERHOUSE_RETRY_DEADLINE_S"):
        wait_for("connecting", action, 30, threading.Event(), clock)
    assert clock.monotonic() == pytest.approx(30)


@pytest.mark.parametrize(
    "hopeless",
    [
        MeterhouseError("does not accept the user"),
        SettingsError("a wrong option"),
        KafkaUnavailableError("no TLS", "check it", KafkaProblem.TLS),
    ],
)
def test_what_waiting_cannot_cure_ends_at_once(hopeless: MeterhouseError) -> None:
    clock = ManualClock()

    def action() -> None:
        raise hopeless

    with pytest.raises(type(hopeless)) as caught:
        wait_for("connecting", action, 300, threading.Event(), clock)
    assert caught.value is hopeless
    assert clock.waits == []


def test_a_stop_ends_the_waiting() -> None:
    clock, stopping = ManualClock(), threading.Event()
    clock.on_wait = stopping.set

    def action() -> None:
        raise AWAY[0]

    with pytest.raises(Stopped):
        wait_for("connecting", action, 300, stopping, clock)
