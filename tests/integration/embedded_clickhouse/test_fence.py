"""The kernel's fence: what a process behind it can still do, and what it cannot."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

_BEHIND_IT = """
import json, os, socket, subprocess, sys
from pathlib import Path
from ingest.embedded.clickhouse.fence import fence, forget_environment
own, other, port = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
forget_environment()
tried = {
    "own": lambda: (own / "new").write_text("x"),
    "other": lambda: other.read_text(),
    "write": lambda: other.with_name("new").write_text("x"),
    "program": lambda: subprocess.run(["/bin/true"]),
    "connect": lambda: socket.create_connection(("127.0.0.1", port)),
    "beside": lambda: Path("pyproject.toml").read_text(),
    "import": lambda: __import__("ingest.embedded.clickhouse.pipes"),
}
def outcome(act):
    try:
        act()
    except OSError as error:
        return type(error).__name__
    return "done"
said = fence([own])
told = {name: outcome(act) for name, act in tried.items()}
told["environment"] = "A_SECRET" in Path("/proc/self/environ").read_text()
told["getenv"] = os.environ["A_SECRET"]
print(json.dumps([said, told]))
"""


def test_behind_the_fence_are_its_own_folders_and_python_no_programs_no_connections(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("x")
    own = tmp_path / "own"
    own.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        argv = [sys.executable, "-c", _BEHIND_IT, str(own), str(other), str(server.getsockname()[1])]
        environment = {**os.environ, "A_SECRET": "secret"}
        ended = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True, env=environment)
    said, told = json.loads(ended.stdout)
    if said.startswith("no fence"):
        pytest.skip(said)
    connect = "PermissionError" if "no connections" in said else "done"
    assert told == {
        "own": "done",
        "other": "PermissionError",
        "write": "PermissionError",
        "program": "PermissionError",
        "connect": connect,
        "beside": "PermissionError",
        "import": "done",
        "environment": False,
        "getenv": "secret",
    }
