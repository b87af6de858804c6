"""A front door of its own for the module, as a process, on the session's broker."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Broker
from tests.support.door import RunningDoor, start_door


@pytest.fixture(scope="module")
def door(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDoor]:
    folder: Path = tmp_path_factory.mktemp("door")
    running = start_door(folder, broker.bootstrap, prefix=f"{folder.name.replace('-', '_')}_")
    yield running
    running.server.stop()
