"""dbt's manifest for Dagster: made where it is missing or older than the project, without network.

In: Settings. Out: the path of manifest.json under <home>/dbt/dagster, where nobody else's dbt writes. Several processes
load the definitions at once (code server, runs): one of them parses, under a file lock, the others wait for it. A
project that does not parse raises MeterhouseError with dbt's last words.
"""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from ingest.building.dbt import environment, project_folder
from ingest.errors import MeterhouseError
from ingest.settings import Settings

# What dbt parses. Seeds' rows and singular tests count too: both have nodes.
_PARSED: Final = ("models", "macros", "seeds", "tests/dbt", "dbt_project.yml", "profiles", "selectors.yml")
_LAST_WORDS: Final = 2_000
_WITHIN_S: Final = 300


def folder(settings: Settings) -> Path:
    """dbt's target folder for Dagster; runs have theirs below it."""
    return settings.home.absolute() / "dbt" / "dagster"


def prepare(settings: Settings) -> Path:
    """The manifest's path; parses first where it has to."""
    target = folder(settings)
    manifest = target / "manifest.json"
    if is_current(manifest):
        return manifest
    target.mkdir(parents=True, exist_ok=True)
    with (target / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_current(manifest):
            _parse(settings, target)
    return manifest


def read(path: Path) -> Mapping[str, object]:
    """The manifest. Kept for this process, since dagster-dbt tells manifests apart by identity."""
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _read(path: Path, _changed_ns: int) -> Mapping[str, object]:
    content: object = json.loads(path.read_bytes())
    if not isinstance(content, dict):
        raise MeterhouseError(f"{path} is no manifest of dbt: remove it, and it is made anew.")
    return content


def is_current(manifest: Path) -> bool:
    """Whether nothing of the project is newer. Folders count, so a file that went is seen."""
    try:
        made = manifest.stat().st_mtime
    except FileNotFoundError:
        return False
    return all(path.stat().st_mtime <= made for path in _parsed(project_folder()))


def _parsed(project: Path) -> Iterator[Path]:
    for name in _PARSED:
        path = project / name
        if path.is_dir():
            yield path
            yield from (one for one in path.rglob("*") if one.suffix != ".csv")
        elif path.is_file():
            yield path


def _parse(settings: Settings, target: Path) -> None:
    # Parsed beside and moved into place, so that nobody reads half a manifest.
    beside = target / "parsing"
    given = environment(settings) | {"DBT_TARGET_PATH": str(beside), "DBT_LOG_PATH": str(target / "logs")}
    profiles = str(project_folder() / "profiles")
    argv = [sys.executable, "-m", "dbt.cli.main", "--no-use-colors", "parse", "--profiles-dir", profiles]
    try:
        done = subprocess.run(  # noqa: S603  # our own interpreter, arguments as a list
            argv, cwd=project_folder(), env={**os.environ, **given}, capture_output=True, text=True, timeout=_WITHIN_S,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise MeterhouseError(f"dbt did not parse the project within {_WITHIN_S} s.") from None
    if done.returncode or not (beside / "manifest.json").is_file():
        words = (done.stdout + done.stderr)[-_LAST_WORDS:]
        raise MeterhouseError(f"dbt cannot parse the project, so Dagster cannot load it: {words}")
    for name in ("partial_parse.msgpack", "manifest.json"):
        if (beside / name).is_file():
            (beside / name).replace(target / name)
