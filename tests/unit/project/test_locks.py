"""The locks: hashes for everything, no address, one version in both. Each runtime dependency has a use and a reason."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]
LOCKS = ("requirements.lock", "requirements-dev.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME = [Requirement(line) for line in PROJECT["project"]["dependencies"]]
# Imported under another name than the package's.
MODULES = {
    "backports-zstd": "backports",
    "grpcio": "grpc",
    "opentelemetry-proto": "opentelemetry",
    "protobuf": "google",
    "pyjwt": "jwt",
    "pyyaml": "yaml",
}
# Loaded by another package, which is told so by name: uvicorn, and dbt by its profile.
BY_NAME = {"httptools", "uvloop"}
ADAPTERS = {"dbt-clickhouse": "type: clickhouse"}
# Run as a process of its own.
PROGRAMS = {"dbt-core": '"dbt.cli.main"', "dagster-webserver": '"webserver"'}


def pins(lock: str) -> dict[str, set[str]]:
    """Package to its pinned versions (several, where they depend on the Python)."""
    found: dict[str, set[str]] = {}
    # With its extras, as pip wants it where a hash is required.
    pinned = r"^([a-z0-9.-]+)(?:\[[a-z0-9,-]+\])?==([^\s;\\]+)"
    for name, version in re.findall(pinned, (ROOT / lock).read_text(), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash_and_nothing_says_where_to_fetch_it(lock: str) -> None:
    text = (ROOT / lock).read_text()
    blocks = re.split(r"\n(?=[a-z0-9])", text)
    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []
    assert not re.search(r"://|^-|--(index|extra|find|trusted)|(?<!\w)/[a-z]+/", text, re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_holds_what_the_project_asks_for_and_what_builds_it(lock: str) -> None:
    pinned = pins(lock)
    wanted = [*RUNTIME, *map(Requirement, PROJECT["build-system"]["requires"])]
    if lock == "requirements-dev.lock":
        wanted += map(Requirement, PROJECT["dependency-groups"]["dev"])
    missing = [one for one in wanted if not any(v in one.specifier for v in pinned.get(one.name, ()))]
    assert missing == [], "run make lock"


def test_development_runs_on_the_very_versions_of_production() -> None:
    production, development = (pins(lock) for lock in LOCKS)
    assert {name: development.get(name) for name in production} == production


def test_every_runtime_dependency_is_used() -> None:
    imported: set[str] = set()
    text = ""
    for file in [*ROOT.glob("ingest/**/*.py"), *ROOT.glob("orchestration/**/*.py")]:
        text += file.read_text()
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.split(".")[0])
    names = {one.name: MODULES.get(one.name, one.name.replace("-", "_")) for one in RUNTIME}
    unused = {name for name, module in names.items() if module not in imported}
    profiles = (ROOT / "profiles" / "profiles.yml").read_text()
    unused -= {name for name, words in ADAPTERS.items() if words in profiles}
    unused -= {name for name, words in PROGRAMS.items() if words in text}
    # By that name, or through uvicorn's module of it.
    assert {name for name in unused if name not in BY_NAME or not re.search(rf'"{name}"|{name}_impl', text)} == set()


def test_every_runtime_dependency_has_its_reason_in_the_architecture() -> None:
    section = (ROOT / "ARCHITECTURE.md").read_text().split("## Dependencies")[1]
    assert set(re.findall(r"^\| ([a-z0-9-]+) \| \S", section, re.MULTILINE)) - {"package", "---"} == {
        one.name for one in RUNTIME
    }
