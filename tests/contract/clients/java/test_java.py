"""The official JDBC driver, in default settings, against the embedded engine: Contract.java run once, a test a check.

Needs Java 17+ and Maven, which fetches the driver once (pom.xml) into the ignored folder target/. Absent, these tests
skip; with METERHOUSE_REQUIRE_JAVA=1 they fail.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.apache_kafka import why_absent
from tests.support.shared import Engine

_HERE = Path(__file__).parent
_TARGET = _HERE / "target"
_CHECKS = re.findall(r'checks\.put\("(\w+)"', (_HERE / "Contract.java").read_text(encoding="utf-8"))
_JAVA = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]


def _compiled() -> Path:
    """The folder of the driver's jars and the program's classes; made when pom.xml or the program has changed."""
    sources = [_HERE / "pom.xml", _HERE / "Contract.java"]
    fingerprint = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    folder = _TARGET / fingerprint[:16]
    _TARGET.mkdir(exist_ok=True)
    with (_TARGET / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            for old in (path for path in _TARGET.iterdir() if path.is_dir()):
                shutil.rmtree(old)
            goal = ["dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
            subprocess.run(["mvn", "-q", "-B", "-f", str(sources[0]), *goal], check=True, timeout=600)
            compiler = ["javac", "-nowarn", "-d", str(folder), "-cp", f"{folder}/*", str(sources[1])]
            subprocess.run(compiler, check=True, timeout=120)
            (folder / "done").touch()
    return folder


@pytest.fixture(scope="module")
def outcomes(engine: Engine) -> dict[str, str]:
    """What each check ended in: '' when it held, otherwise why not."""
    reason = why_absent()
    if reason is not None:
        reason = reason.replace("Apache Kafka", "The JDBC driver")
        (pytest.fail if os.environ.get("METERHOUSE_REQUIRE_JAVA") == "1" else pytest.skip)(reason)
    folder, address = _compiled(), engine.url.rpartition("@")[2]
    argv = ["java", *_JAVA, "-cp", f"{folder}:{folder}/*", "Contract", address]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=150, check=False)
    lines = re.findall(r"^(?:ok|failed) (\w+)(.*)$", done.stdout, re.MULTILINE)
    assert len(lines) == len(_CHECKS), f"the program stopped early: {done.stdout}\n{done.stderr}"
    return {name: rest.lstrip(": ") for name, rest in lines}


@pytest.mark.parametrize("check", _CHECKS)
def test_the_jdbc_driver_is_served_as_by_a_server(check: str, outcomes: dict[str, str]) -> None:
    assert outcomes[check] == ""
