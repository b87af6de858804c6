"""The official Go driver over HTTP against the embedded engine: contract_test.go run once, a test a function.

Needs Go 1.26+, which fetches the driver once and keeps what it built in the ignored folder target/. Absent, these tests
skip; with METERHOUSE_REQUIRE_GO=1 they fail.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.shared import Engine

_HERE = Path(__file__).parent
_TARGET = _HERE / "target"
_SOURCES = [_HERE / name for name in ("go.mod", "go.sum", "contract_test.go")]
_CHECKS = re.findall(r"^func (Test\w+)\(", _SOURCES[-1].read_text(encoding="utf-8"), re.MULTILINE)
_LEAST = (1, 26)


def _why_absent() -> str | None:
    """The reason why the Go driver cannot run here; None when it can."""
    if shutil.which("go") is None:
        return "The Go driver needs Go 1.26+, and no `go` is on PATH"
    told = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=False, timeout=30).stdout
    found = re.match(r"go(\d+)\.(\d+)", told)
    if found is None or (int(found.group(1)), int(found.group(2))) < _LEAST:
        return f"The Go driver needs Go 1.26+, and `go` here is {told.strip() or 'unknown'}"
    return None


def _built() -> Path:
    """The test program; made when a source of it has changed."""
    fingerprint = hashlib.sha256(b"".join(source.read_bytes() for source in _SOURCES)).hexdigest()
    program = _TARGET / f"contract-{fingerprint[:16]}.test"
    _TARGET.mkdir(exist_ok=True)
    with (_TARGET / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            for old in _TARGET.glob("*.test"):
                old.unlink()
            making = program.with_suffix(".making")
            subprocess.run(["go", "test", "-c", "-o", str(making), "."], cwd=_HERE, check=True, timeout=900)
            making.rename(program)
    return program


@pytest.fixture(scope="module")
def outcomes(engine: Engine) -> dict[str, str]:
    """What each function ended in: '' when it passed, otherwise what it said."""
    reason = _why_absent()
    if reason is not None:
        (pytest.fail if os.environ.get("METERHOUSE_REQUIRE_GO") == "1" else pytest.skip)(reason)
    environment = {**os.environ, "METERHOUSE_TEST_CLICKHOUSE": engine.url.rpartition("@")[2]}
    argv = [str(_built()), "-test.v", "-test.timeout", "120s"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=150, check=False, env=environment)
    ended: dict[str, str] = {}
    for name, said, outcome in re.findall(
        r"^=== RUN   (\w+)\n(.*?)^--- (PASS|FAIL): \1 ", done.stdout, re.MULTILINE | re.DOTALL
    ):
        ended[name] = "" if outcome == "PASS" else said
    assert ended.keys() == set(_CHECKS), f"the program stopped early: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return ended


@pytest.mark.parametrize("check", _CHECKS)
def test_the_go_driver_is_served_as_by_a_server(check: str, outcomes: dict[str, str]) -> None:
    assert outcomes[check] == ""
