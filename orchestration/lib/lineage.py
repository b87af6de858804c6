"""Which columns a model's columns come from, read from a file beside the manifest."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read(_manifest: Path) -> Mapping[str, Mapping[str, Any]]:
    """Metadata by unique id; nothing where it was not made yet."""
    return {}
