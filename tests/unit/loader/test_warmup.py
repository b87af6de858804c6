"""The warm-up: what it leaves out stays out, and nothing else is touched."""

import subprocess
import sys

SCRIPT = """
import sys
from ingest.contracts.outcome import EventLimits
from ingest.loader.decode import AgentEventDecoder
from ingest.loader.run import Stream
from ingest.loader.warmup import warm_up

decoder = AgentEventDecoder(EventLimits())
warm_up([Stream("agent_events", "agent_events", "agent_events.dlq", "raw.agent_events", decoder)])
assert decoder.decode([b"{}", None], 0).rows.num_rows == 0
assert "pandas" not in sys.modules
import pandas
"""


def test_a_process_that_is_warm_decodes_without_pandas_and_may_still_import_it() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
