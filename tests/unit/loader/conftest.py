"""A Kafka of lists and a ledger in memory for each test of the loop."""

import pytest

from tests.support.fake_house import FakeLedger
from tests.support.fake_kafka import FakeBroker


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture
def ledger() -> FakeLedger:
    return FakeLedger()
