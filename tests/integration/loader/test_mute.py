"""A ClickHouse that accepts and never answers: every call the loader makes of it ends by its timeout, as a fault that
passes. The engine is real, behind a proxy that from then on takes requests and says nothing."""

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from clickhouse_connect.driver.client import Client
from confluent_kafka import Producer

from ingest.landed import months_landed
from ingest.loader.clock import SYSTEM_CLOCK
from ingest.loader.dead_letters import DeadLetters
from ingest.loader.decode import AgentEventDecoder
from ingest.loader.ledger import Ledger, Progress
from ingest.loader.metrics import Metrics
from ingest.loader.run import Batch, Claim, Messages, Rejected, Run, Source
from ingest.loader.sending import Sending, with_origin
from ingest.loader.streams import agent_events
from ingest.settings import ClickHouseAddress, Settings
from ingest.warehouse import WarehouseUnavailableError, connect
from ingest.warehouse_errors import ErrorKind, kind_of
from tests.chaos.proxy import FaultyProxy
from tests.integration.loader.test_load import house
from tests.unit.contracts.events import payload

__all__ = ["house"]

TIMEOUT_S = 0.3
# A timeout is one of connecting and one of waiting, and clickhouse-connect reads settings before it says hello.
ENDS_WITHIN_S = 2.0


@pytest.fixture
def mute(house: Settings) -> Iterator[Client]:
    proxy = FaultyProxy(0, house.clickhouse.port, seed=1)
    address = ClickHouseAddress(f"http://default@127.0.0.1:{proxy.port}")
    client = connect(address, connect_timeout_s=5, request_timeout_s=TIMEOUT_S)
    proxy.set("hang")
    yield client
    proxy.close()


def calls(settings: Settings, client: Client) -> dict[str, Callable[[], object]]:
    """Everything the loader asks of ClickHouse."""
    stream = agent_events(settings)[0]
    run = Run(Source(stream.topic, "an incarnation", 0), 0, 0)
    claim = Claim(run, SYSTEM_CLOCK.now_ms(), "me")
    value = payload(occurred_at=SYSTEM_CLOCK.now_ms())
    messages = Messages([0], [value], [None], [SYSTEM_CLOCK.now_ms()])
    decoded = stream.decoder.decode(messages.values, claim.judged_at_ms)
    assert isinstance(stream.decoder, AgentEventDecoder)
    ledger = Ledger(client, settings.database("ops"), "me")
    letters = DeadLetters(client, f"{settings.database('raw')}.dead_letters", Producer({}), Metrics())
    batch = Batch(run, messages, 1, 0.0)
    progress = Progress(run.source, 1, 0, 1, None, None, None, None, 1)
    return {
        "claim": lambda: ledger.claim(run, claim.judged_at_ms),
        "take_up": lambda: ledger.take_up(run.source),
        "is_done": lambda: ledger.is_done(run),
        "finish": lambda: ledger.finish(batch, claim, decoded, 1, {}, 1, 0),
        "report": lambda: ledger.report([progress], "report"),
        "refuse": lambda: letters.write(stream, run, messages, [Rejected(0, "a", "b", "c")]),
        "land": lambda: Sending(client, stream, claim, is_redo=False).send(run, with_origin(run, messages, decoded), 0),
        "look": lambda: months_landed(client, stream.table, topic=stream.topic, partition=0, first=0, last=0),
    }


def test_every_call_of_the_loader_ends_by_its_timeout_as_a_fault_that_passes(house: Settings, mute: Client) -> None:
    for name, call in calls(house, mute).items():
        started = time.monotonic()
        with pytest.raises(Exception, match=r"(?i)time") as caught:
            call()
        assert kind_of(caught.value) is ErrorKind.TRANSIENT, name
        assert time.monotonic() - started < ENDS_WITHIN_S, name


def test_a_connection_to_one_who_never_answers_is_one_to_wait_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def accept() -> None:
            try:
                while True:
                    held.append(server.accept()[0])
            except OSError:
                return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        address = ClickHouseAddress(f"http://default@127.0.0.1:{server.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(WarehouseUnavailableError, match="cannot be reached"):
            connect(address, connect_timeout_s=1, request_timeout_s=1)
        assert time.monotonic() - started < 10
        assert held
        server.shutdown(socket.SHUT_RDWR)
    for one in held:
        one.close()
