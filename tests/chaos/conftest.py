"""Rounds under load are run by `-m chaos` (make chaos); a plain run of the tests leaves them out with a reason."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "chaos: kills and freezes processes under load; takes a minute")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "chaos" in str(config.getoption("-m")):
        return
    for item in items:
        if item.get_closest_marker("chaos") is not None:
            item.add_marker(pytest.mark.skip(reason="chaos under load: run it with pytest -m chaos, or make chaos"))
