"""Truth."""
from ingest.simulate.incidents import Incident
from ingest.simulate.rows import Rows
from ingest.simulate.world import World


class Truth:
    def __init__(self, world: World, incidents: list[Incident]) -> None:
        pass

    def add(self, rows: Rows) -> None:
        pass
