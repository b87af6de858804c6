"""A believable company of agents, from a seed: events, faults and incidents, and the truth about all of them.

Knows nothing of loader, engine or contract, so that what it says can be held against what they did.
"""

from ingest.simulate.config import SimulationConfig
from ingest.simulate.stream import Chunk, Message, Simulation, simulate

__all__ = ["Chunk", "Message", "Simulation", "SimulationConfig", "simulate"]
