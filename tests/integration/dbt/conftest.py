"""One set of databases for all files of tests: seeds and parsing cost more than what they serve.

A day of incidents takes five minutes: `-m incidents` (make incidents) plays it, a plain run leaves it out and says so.
"""

import uuid
from collections.abc import Iterator

import pytest

from ingest.settings import load_settings
from ingest.warehouse import connect
from tests.conftest import drop_databases
from tests.support.left_out import leave_out
from tests.support.models import Models
from tests.support.shared import Engine

AS_OF = "2026-11-20 12:00:00"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "incidents: plays a day of incidents; takes five minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    leave_out(config, items, marker="incidents", reason="a day of incidents: run it with make incidents")


@pytest.fixture(scope="session")
def project(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    """The project, parsed, with its seeds, over raw tables that one file of tests after the other fills."""
    settings = load_settings(
        home=tmp_path_factory.mktemp("dbt"), clickhouse_url=engine.url, database_prefix=f"t{uuid.uuid4().hex[:10]}_"
    )
    client = connect(settings.clickhouse, connect_timeout_s=5, request_timeout_s=60)
    made = Models(settings, client, AS_OF)
    made.set_up()
    yield made
    drop_databases(settings)
    client.close()


@pytest.fixture(scope="module")
def models(project: Models) -> Models:
    """The project as after its set-up; "now" is AS_OF."""
    project.start_over()
    project.variables.clear()
    project.as_of = AS_OF
    return project
