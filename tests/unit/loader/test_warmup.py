"""The warm-up: what it leaves out stays out, and nothing else is touched."""

import subprocess
import sys


def _python(script: str) -> "subprocess.CompletedProcess[str]":
    """A process of its own, in which nothing is loaded yet."""
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)


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
    done = _python(SCRIPT)
    assert done.returncode == 0, done.stderr


HEAPS = """
import ctypes, threading
from ingest.loader.memory import bound_memory

bound_memory()
ready, stop = threading.Barrier(9), threading.Event()

def hold():
    held = [bytearray(4096) for _ in range(64)]
    ready.wait()
    stop.wait()

threads = [threading.Thread(target=hold) for _ in range(8)]
[one.start() for one in threads]
ready.wait()
libc = ctypes.CDLL(None)
libc.fdopen.restype, libc.malloc_info.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p]
libc.malloc_info(0, libc.fdopen(1, b"w"))
libc.fflush(None)
stop.set()
"""


def test_eight_threads_of_a_loader_share_two_heaps() -> None:
    # A heap for each thread keeps what the thread freed: 30 MB of a loader's memory, and nothing for it.
    done = _python(HEAPS)
    assert done.stdout.count("<heap nr=") == 2, done.stderr


ALLOCATOR = """
import socket, sys
from ingest.cli import app
from ingest.errors import MeterhouseError
from ingest.loader.command import load

assert "pyarrow" not in sys.modules
taken = socket.create_server(("127.0.0.1", 0))
import os
os.environ["METERHOUSE_METRICS_PORT"] = str(taken.getsockname()[1])
try:
    load(drain=True, topic=None, owner=None, processes=1, share=None)
except (MeterhouseError, SystemExit):
    pass
import pyarrow
print(pyarrow.default_memory_pool().backend_name)
"""


def test_the_loader_s_arrow_takes_its_memory_from_the_c_library() -> None:
    # Arrow asks once, when it is loaded: an import of it before the command begins would undo this in silence.
    done = _python(ALLOCATOR)
    assert done.stdout.split() == ["system"], done.stderr
