"""Rounds under load are run by `-m chaos` (make chaos); a plain run of the tests leaves them out with a reason."""

import pytest

from tests.support.left_out import leave_out


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "chaos: kills and freezes processes under load; takes a minute")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    leave_out(config, items, marker="chaos", reason="chaos under load: run it with pytest -m chaos, or make chaos")
