"""One simulation with every fault and incident, played once, for all tests of this room."""

import pytest

from ingest.simulate import Simulation, SimulationConfig, simulate
from tests.unit.simulate.reading import END_MS, Event, Played, read_event


@pytest.fixture(scope="session")
def config() -> SimulationConfig:
    return SimulationConfig(
        end_ms=END_MS,
        events=60_000,
        duplicate_rate=0.02,
        correction_rate=0.02,
        late_rate=0.03,
        malformed_rate=0.02,
        extra_rate=0.02,
    )


@pytest.fixture(scope="session")
def played(config: SimulationConfig) -> Played:
    messages = list(simulate(config))
    events: dict[str, Event] = {}
    for message in messages:
        if message.expected != "dead_letter":
            event = read_event(message.value)
            events[event.event_id] = event
    simulation = Simulation(config)
    for _ in simulation.chunks():
        pass
    return Played(simulation, messages, events)
