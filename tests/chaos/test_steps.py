"""A loader killed between each two steps of its protocol, and right before and after each: nothing lost, nothing twice.

The proxy kills the loader at the very request, so that no step is left to chance. Each of the eight places is hit by a
loader that finds what the one before it left behind.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.arena import PARTITIONS, Arena, Loader, kill_at
from tests.chaos.load import Load
from tests.chaos.proxy import Stage
from tests.chaos.round import Round

STEPS = ("load_claims", "dead_letters", "agent_events", "load_batches")
STAGES: tuple[Stage, ...] = ("before", "after")
PLACES = [(table, stage) for table in STEPS for stage in STAGES]
SEED = 4


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with Arena(tmp_path_factory.mktemp("chaos"), "embedded", SEED) as made:
        yield made


@pytest.mark.chaos
def test_a_loader_killed_at_every_step_loses_and_doubles_nothing(arena: Arena) -> None:
    played = Round(arena, SEED, 900, rate=2_000)
    load = Load(arena.bootstrap, played.topics, PARTITIONS, seed=SEED, rate=2_000)
    load.start()
    hits = []
    for table, stage in random.Random(SEED).sample(PLACES, len(PLACES)):
        loader = Loader(arena, played.prefix, "victim")
        hit = kill_at(arena, loader, table, stage)
        loader.start()
        loader.wait(120)
        hits.append(hit)
    arena.proxy.at_request = lambda _request, _stage: None
    load.finish()
    assert all(hits), "every place must have been reached"
    complaints = played.drain()
    verdict = played.count(load.acknowledged)
    assert complaints + verdict.complaints == [], Path(arena.folder)
    assert verdict.rejected > 0
    played.remove()


@pytest.mark.chaos
def test_one_round_of_drawn_faults_loses_and_doubles_nothing(arena: Arena) -> None:
    outcome = Round(arena, SEED, 901, rate=2_000).play()
    assert outcome.verdict.complaints == [], outcome.faults
