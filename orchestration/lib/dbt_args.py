"""What dbt is told: one pure function from what a run is to build to the arguments of the command line.

Selections are unique ids of the manifest, handed over as fully qualified names, so no name means two things; tests are
named one by one and nothing is selected by implication. Variables are passed only where a run needs them, for dbt
parses the whole project anew when they differ from the last time's.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from ingest.errors import MeterhouseError


@dataclass(frozen=True, slots=True)
class Selected:
    """A node by its manifest's fqn, such as ("meterhouse", "marts", "llm", "llm_daily")."""

    fqn: tuple[str, ...]

    @property
    def words(self) -> str:
        return "fqn:" + ".".join(self.fqn)


@dataclass(frozen=True, slots=True)
class Days:
    """UTC days, both inclusive."""

    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Build:
    """What a run builds and tests. `days`: exactly these days' buckets; without, what arrived since the last build."""

    models: Sequence[Selected] = ()
    seeds: Sequence[Selected] = ()
    tests: Sequence[Selected] = ()
    days: Days | None = None
    full_refresh: bool = False


def dbt_args(build: Build, profiles: str) -> list[str]:
    """Arguments after `dbt`. Raises MeterhouseError for a build that contradicts itself or holds nothing."""
    selected = [one.words for one in (*build.seeds, *build.models, *build.tests)]
    if not selected:
        raise MeterhouseError("Nothing is selected, which dbt would take for everything.")
    if build.days is not None and build.full_refresh:
        raise MeterhouseError("A full refresh has no days: choose one of the two.")
    if build.days is not None and build.days.first > build.days.last:
        raise MeterhouseError(f"The days from {build.days.first} to {build.days.last} are none.")
    arguments = [_command(build), "--profiles-dir", profiles]
    if build.tests:
        # Otherwise each selected model brings all its tests along, chosen or not.
        arguments += ["--indirect-selection", "empty"]
    if arguments[0] == "build":
        # Unit tests prove the SQL, not the data: they run in CI and by hand.
        arguments += ["--exclude-resource-type", "unit_test"]
    arguments += ["--select", *sorted(set(selected))]
    if build.full_refresh:
        arguments.append("--full-refresh")
    variables = _variables(build)
    if variables:
        arguments += ["--vars", json.dumps(variables)]
    return arguments


def _command(build: Build) -> str:
    kinds = [name for name, chosen in (("seed", build.seeds), ("run", build.models), ("test", build.tests)) if chosen]
    # `build` alone knows the order between kinds, and stops below a test that failed.
    return kinds[0] if len(kinds) == 1 else "build"


def _variables(build: Build) -> Mapping[str, str]:
    if build.days is None:
        return {}
    return {"from_day": build.days.first.isoformat(), "to_day": build.days.last.isoformat()}
