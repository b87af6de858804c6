"""Faults."""

import numpy as np
from ingest.simulate.draws import Bools, Draws, Ints
from ingest.simulate.rows import Rows
from ingest.simulate.world import World

VALID = 0


def is_first(rows: Rows) -> Bools:
    return rows["kind"] == VALID


def kind_name(kind: int, flaw: int) -> str:
    return "valid"


def expected(kind: int) -> str:
    return "landed"


class FaultMaker:
    def __init__(self, world: World) -> None:
        self._world = world

    def add(self, rows: Rows, draws: Draws, next_event: int) -> tuple[Rows, int]:
        rows["arrival_ms"] = rows["at_ms"] + 5 + draws.lognormal(120, 0.9, len(rows))
        return rows, next_event

    def spoil(self, lines: bytes, rows: Rows) -> bytes:
        return lines
