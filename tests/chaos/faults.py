"""What may go wrong in a round, drawn from the seed: when it begins, how long it lasts, whom it hits.

A fault begins and ends; several overlap. Every one leaves things as they should be when it has ended, so that what is
found after a round is what the loader made of it.
"""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.chaos.arena import Arena, Loader
from tests.chaos.proxy import FAULTY_MODES, Mode


@dataclass
class Scene:
    """Who can be hit. `visitor` is the third loader of a rebalance storm."""

    arena: Arena
    loaders: list[Loader]
    visitor: Loader
    draw: random.Random
    undo: dict[str, Callable[[], None]] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """`begin` starts it and gives what ends it; it lasts between the two lengths, in seconds."""

    name: str
    shortest_s: float
    longest_s: float
    begin: Callable[[Scene], Callable[[], None]]


@dataclass(frozen=True)
class Planned:
    """A fault at its time, seconds after the loaders should be at work."""

    fault: Fault
    at_s: float
    length_s: float


def _kill_loader(scene: Scene) -> Callable[[], None]:
    loader = scene.draw.choice(scene.loaders)
    loader.kill()
    return loader.start


def _kill_all_loaders(scene: Scene) -> Callable[[], None]:
    for loader in scene.loaders:
        loader.kill()

    def start() -> None:
        for loader in scene.loaders:
            loader.start()

    return start


def _kill_engine(scene: Scene) -> Callable[[], None]:
    scene.arena.kill_engine()
    return scene.arena.start_engine


def _freeze_loader(scene: Scene) -> Callable[[], None]:
    loader = scene.draw.choice(scene.loaders)
    loader.freeze()
    return loader.thaw


def _engine_faulty(mode: Mode) -> Callable[[Scene], Callable[[], None]]:
    def begin(scene: Scene) -> Callable[[], None]:
        scene.arena.proxy.set(mode, scene.draw.choice((0.3, 0.6, 1.0)))
        return lambda: scene.arena.proxy.set("pass")

    return begin


def _storm(scene: Scene) -> Callable[[], None]:
    stop = threading.Event()
    stays = [scene.draw.uniform(1.0, 3.0) for _ in range(20)]
    ends = [scene.draw.random() < 0.5 for _ in range(20)]

    def come_and_go() -> None:
        for stay_s, is_killed in zip(stays, ends, strict=True):
            scene.visitor.start()
            is_over = stop.wait(stay_s)
            if is_killed:
                scene.visitor.kill()
            else:
                scene.visitor.stop()
            if is_over:
                return

    thread = threading.Thread(target=come_and_go, name="storm", daemon=True)
    thread.start()

    def end() -> None:
        stop.set()
        thread.join()

    return end


def _kill_broker(scene: Scene) -> Callable[[], None]:
    kafka = scene.arena.kafka
    assert kafka is not None, "only Apache Kafka keeps its data through a kill"
    kafka.kill()
    return kafka.start


ANYWHERE = (
    Fault("kill loader", 0.2, 3.0, _kill_loader),
    Fault("kill all loaders", 0.2, 2.0, _kill_all_loaders),
    Fault("kill engine", 0.2, 2.0, _kill_engine),
    Fault("freeze loader", 7.0, 8.0, _freeze_loader),
    Fault("rebalance storm", 4.0, 6.0, _storm),
    *(Fault(f"engine: {mode}", 1.5, 4.0, _engine_faulty(mode)) for mode in FAULTY_MODES),
)
ON_APACHE = Fault("kill broker", 0.2, 2.0, _kill_broker)


def plan(draw: random.Random, number: int, is_apache: bool, window_s: float) -> list[Planned]:
    """Two to four faults. The rounds walk through all kinds, so that twenty rounds leave none out."""
    kinds = [*ANYWHERE, ON_APACHE] if is_apache else list(ANYWHERE)
    first = kinds[number % len(kinds)]
    proxied = first.name.startswith("engine: ")
    # One at a time through the proxy: it has one mode.
    others = [kind for kind in kinds if kind is not first and not (proxied and kind.name.startswith("engine: "))]
    chosen = [first]
    for kind in draw.sample(others, len(others))[: draw.randrange(1, 4)]:
        if not (kind.name.startswith("engine: ") and any(one.name.startswith("engine: ") for one in chosen)):
            chosen.append(kind)
    planned = []
    for kind in chosen:
        length_s = min(draw.uniform(kind.shortest_s, kind.longest_s), window_s)
        planned.append(Planned(kind, draw.uniform(0.0, window_s - length_s), length_s))
    return sorted(planned, key=lambda one: one.at_s)
