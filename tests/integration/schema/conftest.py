"""A migrated set of databases of the test's own on the session's engine; no broker is started."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from clickhouse_connect.driver.client import Client

from ingest.schema.engines import Layout
from ingest.schema.migrate import migrate
from ingest.settings import ClickHouseAddress
from ingest.warehouse import connect
from tests.support.shared import Engine


@dataclass(frozen=True)
class House:
    """A client and the names of one test's databases."""

    client: Client
    layout: Layout
    address: ClickHouseAddress

    def table(self, name: str) -> str:
        return self.layout.stored_table(name)

    def count(self, name: str, where: str = "1") -> int:
        return int(self.client.query(f"select count() from {self.table(name)} where {where}").result_rows[0][0])


@pytest.fixture
def empty_house(engine: Engine, prefix: str) -> Iterator[House]:
    address = ClickHouseAddress(engine.url)
    client = connect(address, connect_timeout_s=5, request_timeout_s=60)
    house = House(client, Layout(database_prefix=prefix), address)
    yield house
    for database in ("raw", "ops"):
        client.command(f"drop database if exists {house.layout.database(database)}")
    client.close()


@pytest.fixture
def house(empty_house: House) -> House:
    migrate(empty_house.client, empty_house.layout)
    return empty_house
