"""dagster-dbt without dbt itself in this process: import its names from here.

Where dbt is not installed, dagster-dbt reads the manifest by itself; where it is, it imports half of dbt to do the
same, which takes two of the five seconds that a load of the definitions may take, in every run of every minute. dbt
runs as a process of its own here, so nothing of it is needed. A process that has imported dbt already is left as it is.
"""

import importlib
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from packaging.version import Version

_ASKED: Final = "dbt.version"

if "dagster_dbt" not in sys.modules and "dbt" not in sys.modules:
    # None in sys.modules is how Python says "not to be imported".
    sys.modules[_ASKED] = None  # type: ignore[assignment]
    try:
        importlib.import_module("dagster_dbt")
    finally:
        del sys.modules[_ASKED]

from dagster_dbt import (  # noqa: E402  # after the above, which is the point
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtCliInvocation,
    DbtProject,
    dbt_assets,
)

__all__ = [
    "DagsterDbtTranslator",
    "DagsterDbtTranslatorSettings",
    "DbtCliInvocation",
    "DbtProject",
    "dbt_assets",
    "dbt_version",
]


def dbt_version() -> "Version":
    """Of the dbt that runs are started with."""
    from importlib.metadata import version

    from dagster_dbt.compat import version as versions  # type: ignore[attr-defined]  # packaging's, by its own name

    parsed: Version = versions.parse(version("dbt-core"))
    return parsed
