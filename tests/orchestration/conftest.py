"""Dagster loads where it is said which installation this is; for tests it is dev."""

import os
from collections.abc import Iterator

import pytest

os.environ["METERHOUSE_ENVIRONMENT"] = "dev"


@pytest.fixture(scope="module", autouse=True)
def _no_instance_of_other_modules() -> Iterator[None]:
    """An instance that was entered leaves its storage in a context variable; one that is gone would be asked there."""
    from dagster._core.storage.defs_state.base import set_defs_state_storage

    with set_defs_state_storage(None):
        yield
