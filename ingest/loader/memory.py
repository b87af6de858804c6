"""Where a loader's memory comes from. Called once, before threads are there and before Arrow is loaded.

What lands does not depend on it: where there is no glibc, only Arrow's part is done.
"""

import ctypes
import os
from typing import Final

_M_ARENA_MAX: Final = -8  # of glibc's malloc.h
_ARENAS: Final = 2


def bound_memory() -> None:
    """Arrow takes its memory from the C library, and that keeps two heaps for all threads instead of one for each.

    Arrow's own allocator gives pages back to the kernel and takes them anew with each batch: 1 µs an event, and 40 MB
    more at the peak. A heap for each worker keeps what the worker freed: 30 MB more at the peak, for no speed.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    if "MALLOC_ARENA_MAX" in os.environ:
        return
    try:
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)
    except (OSError, AttributeError):  # no glibc
        return
