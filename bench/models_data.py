"""One simulated company for the models' bench: two histories of the same rate, of which one is longer, and increments.

In: how many events each history holds. Out: lines for raw.agent_events, told apart by their time of arrival. The short
history is the end of the long one, and both get the same increments: what differs is how much lies before. Late,
repeated and corrected events are as frequent as the simulator makes them; malformed ones never reach raw.
"""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from clickhouse_connect.driver.client import Client

from ingest.simulate import Simulation, SimulationConfig
from ingest.simulate.faults import is_first

# The simulator's default: 200,000 events in 36 hours. Ten million are 75 days then, within the 90 that raw keeps.
EVENTS_AN_HOUR = 200_000 / 36
INCREMENT_MS = 5 * 60_000
# One insert of the loader.
_INSERT_LINES = 65_536
_EPOCH_MS = re.compile(rb'"occurred_at":(\d{10})(\d{3})\b')
_SETTINGS = {"date_time_input_format": "best_effort", "input_format_json_read_objects_as_strings": 1}


@dataclass(frozen=True, slots=True)
class Landing:
    """Lines to land together. `number` counts increments from 1; 0 is history, of which `is_recent` says whether the
    short one has it too."""

    number: int
    is_recent: bool
    lines: Sequence[bytes]


def landings(long_events: int, short_events: int, increments: int) -> Iterator[Landing]:
    """The whole company in order of arrival: history in inserts of the loader's size, then each increment at once.

    The window ends now, so that the engine's clock is just behind what the increments bring.
    """
    end_ms = time.time_ns() // 1_000_000
    hours = (long_events / EVENTS_AN_HOUR) + increments * INCREMENT_MS / 3_600_000
    config = SimulationConfig(
        end_ms=end_ms,
        events=long_events + round(increments * INCREMENT_MS * EVENTS_AN_HOUR / 3_600_000),
        hours=hours,
        malformed_rate=0,
        extra_rate=0,
    )
    history_ends_ms = end_ms - increments * INCREMENT_MS
    events = messages = 0
    gathered: list[bytes] = []
    opened = (0, long_events <= short_events)
    for chunk in Simulation(config).chunks():
        arrived = chunk.rows["arrival_ms"].astype(np.int64)
        number = np.clip((arrived - history_ends_ms) // INCREMENT_MS + 1, 0, increments).tolist()
        first = is_first(chunk.rows).tolist()
        for body, at_ms, which, is_new in zip(chunk.values, arrived.tolist(), number, first, strict=True):
            part = (which, which > 0 or events >= long_events - short_events)
            if part != opened or (which == 0 and len(gathered) == _INSERT_LINES):
                if gathered:
                    yield Landing(*opened, gathered)
                gathered, opened = [], part
            gathered.append(_line(body, messages, at_ms if which == 0 else None))
            messages += 1
            events += is_new
    if gathered:
        yield Landing(*opened, gathered)


def _line(body: bytes, offset: int, loaded_ms: int | None) -> bytes:
    """The message as a row: epoch milliseconds as the engine reads them, and where it came from.

    History says when it landed, as if the loader had been there all the time; an increment lands when it does.
    """
    loaded = b"" if loaded_ms is None else b'"_loaded_at":%d.%03d,' % divmod(loaded_ms, 1000)
    row = _EPOCH_MS.sub(rb'"occurred_at":\1.\2', body, count=1)
    return b'{"_topic":"agent_events","_partition":0,"_offset":%d,%b%b' % (offset, loaded, row[1:])


def land(client: Client, lines: Sequence[bytes]) -> None:
    """One insert into raw.agent_events."""
    client.raw_insert(
        "raw.agent_events", insert_block=BytesIO(b"\n".join(lines)), fmt="JSONEachRow", settings=_SETTINGS
    )
