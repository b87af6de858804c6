"""These tests look at the engine itself (its processes, its limits, its log), so nobody else may use theirs."""

from collections.abc import Iterator

import pytest

from tests.support.shared import Engine, running_engine


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with running_engine(tmp_path_factory.mktemp("engine")) as started:
        yield started
