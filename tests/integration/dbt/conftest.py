"""One set of databases for a file of tests: seeds and parsing cost more than what they serve."""

import uuid
from collections.abc import Iterator

import pytest

from ingest.settings import load_settings
from ingest.warehouse import connect
from tests.conftest import drop_databases
from tests.support.models import Models
from tests.support.shared import Engine

AS_OF = "2026-11-20 12:00:00"


@pytest.fixture(scope="module")
def models(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    """The project over empty raw tables; "now" is AS_OF."""
    settings = load_settings(
        home=tmp_path_factory.mktemp("dbt"), clickhouse_url=engine.url, database_prefix=f"t{uuid.uuid4().hex[:10]}_"
    )
    client = connect(settings.clickhouse, connect_timeout_s=5, request_timeout_s=60)
    made = Models(settings, client, AS_OF)
    made.set_up()
    yield made
    drop_databases(settings)
    client.close()
