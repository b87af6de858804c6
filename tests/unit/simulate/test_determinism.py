"""The same configuration gives the same bytes: twice, in another process, on another machine."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from ingest.simulate import Simulation, SimulationConfig
from ingest.simulate.config import parse_time
from ingest.simulate.draws import Draws, lognormal_factors, weighted_table

SMALL = SimulationConfig(end_ms=parse_time("2026-11-18T12:00Z", "--end"), events=3_000, malformed_rate=0.02)
# Taken on x86-64 with numpy 2.4. It changes when the simulation is changed on purpose, and for no other reason.
KNOWN_DIGEST = "5c5cdda79fd74d0b88fe7e79e4ac0ce75a1b5e8648b003395ebeb77ea7318386"
_PRINT_DIGEST = """
from tests.unit.simulate.test_determinism import SMALL, digest
print(digest(SMALL))
"""


def digest(config: SimulationConfig) -> str:
    hashed = hashlib.sha256()
    for chunk in Simulation(config).chunks():
        hashed.update(chunk.lines)
    return hashed.hexdigest()


def test_the_bytes_are_those_of_every_other_machine() -> None:
    assert digest(SMALL) == KNOWN_DIGEST


@pytest.mark.parametrize(
    "environment", [{"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo"}, {"PYTHONHASHSEED": "2", "LC_ALL": "C"}]
)
def test_hash_seed_time_zone_and_locale_do_not_matter(environment: dict[str, str]) -> None:
    command = [sys.executable, "-c", _PRINT_DIGEST]
    there = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)
    assert there.stdout.strip() == digest(SMALL)


@pytest.mark.parametrize(
    "change", [{"seed": 8}, {"end_ms": SMALL.end_ms + 60_000}, {"workspaces": 5}, {"events": 3_001}]
)
def test_another_configuration_gives_other_bytes(change: dict[str, int]) -> None:
    assert digest(replace(SMALL, **change)) != digest(SMALL)  # type: ignore[arg-type]


def test_faults_change_neither_the_number_of_events_nor_the_incidents() -> None:
    faulty = Simulation(replace(SMALL, malformed_rate=0.2, duplicate_rate=0.2))
    plain = Simulation(SMALL.without_faults())
    for simulation in (faulty, plain):
        assert sum(int((chunk.rows["kind"] == 0).sum()) for chunk in simulation.chunks()) == SMALL.events
    assert faulty.incidents == plain.incidents


def test_draws_are_even_and_streams_differ() -> None:
    draws = Draws(1, 2)
    values = draws.below(1000, 200_000)
    assert (int(values.min()), int(values.max())) == (0, 999)
    assert abs(float(values.mean()) - 499.5) < 3
    assert abs(float(draws.chance(0.25, 200_000).mean()) - 0.25) < 0.01
    assert (Draws(1, 2).u16(100) == Draws(1, 2).u16(100)).all()
    assert (Draws(1, 2).u16(100) != Draws(2, 1).u16(100)).any()


def test_a_lognormal_has_median_one_and_the_spread_asked_for() -> None:
    factors = lognormal_factors(0.5) / 1024
    assert abs(float(factors[8191]) - 1) < 0.01
    assert 1.6 < float(factors[int(16384 * 0.8413)]) < 1.7  # e^0.5 at one standard deviation


def test_a_weighted_table_holds_each_share_exactly() -> None:
    assert [int((weighted_table([50, 30, 20], 64) == index).sum()) for index in range(3)] == [32, 19, 13]
