"""Readies the process before the first message waits: late imports done, the garbage collector out of the way.

In: the streams that will be read. Out: nothing; what it changes holds for the process. Decoding makes no cycles, but
hundreds of thousands of objects a second, and with Python's thresholds a tenth of the loader's time went into looking
for cycles among them and among its modules.
"""

import gc
import sys
from collections.abc import Iterable
from importlib.abc import MetaPathFinder
from typing import Final

from ingest.loader.run import Stream

_OBJECTS_BEFORE_A_LOOK: Final = 100_000


class _WithoutPandas(MetaPathFinder):
    """pyarrow looks for pandas at its first use and takes a second and 50 MB to load it, for nothing used here."""

    def find_spec(self, fullname: str, _: object, __: object = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is left out on purpose", name=fullname)


def warm_up(streams: Iterable[Stream]) -> None:
    """Decodes once with each decoder, then counts all that exists now as here to stay."""
    finder = _WithoutPandas()
    sys.meta_path.insert(0, finder)
    try:
        for stream in streams:
            stream.decoder.decode([b"{}"], 0)
    finally:
        sys.meta_path.remove(finder)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_BEFORE_A_LOOK, 20, 50)
