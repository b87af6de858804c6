"""From a row of alerts_current to a message that somebody has, and to its end: on the engine, with a moved clock."""

import uuid
from collections.abc import Iterator
from datetime import datetime

import pytest

from ingest.settings import load_settings
from ingest.warehouse import connect
from orchestration.lib.alerts.engine import Evaluated, evaluate
from tests.conftest import drop_databases
from tests.orchestration.alerts_support import House, Recorder, minutes, signal
from tests.support.shared import Engine


@pytest.fixture(scope="module")
def built(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    settings = load_settings(
        home=tmp_path_factory.mktemp("alerts"), clickhouse_url=engine.url, database_prefix=f"t{uuid.uuid4().hex[:10]}_"
    )
    client = connect(settings.clickhouse, connect_timeout_s=5, request_timeout_s=60)
    yield House.built(client, settings)
    drop_databases(settings)
    client.close()


@pytest.fixture
def house(built: House) -> House:
    for table in ("alert_log", "alert_messages", "alert_deliveries", "alert_silences"):
        built.client.command(f"truncate table {built.table('ops')}.{table} sync")
    return built


def run(house: House, now: datetime, to: Recorder) -> Evaluated:
    return evaluate(house.client, house.settings, now, {"*": to})


def test_an_outage_is_one_page_and_one_end(house: House) -> None:
    to = Recorder()
    for minute in range(3):
        house.shows(signal(until=minutes(minute)), complete_to=minutes(minute))
        run(house, minutes(minute + 0.5), to)
        run(house, minutes(minute + 0.9), to)
    for minute in range(3, 12):
        house.shows(complete_to=minutes(minute))
        run(house, minutes(minute + 0.5), to)
    assert to.kinds == ["firing", "firing", "resolved", "resolved"]
    assert [key.rpartition("/")[2] for key, _, _ in to.got] == ["oncall_pager", "oncall_slack"] * 2
    assert len({notice.thread for _, notice, _ in to.got}) == 1
    assert house.log("state, change") == [("firing", "fired"), ("firing", "quiet"), ("resolved", "resolved")]
