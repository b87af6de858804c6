"""Runs the official Python clients' own integration suites against an embedded engine, and prints the outcome.

    python -m tests.contract.clients.python.suites clickhouse-connect CHECKOUT --python VENV/bin/python [tests …]

CHECKOUT is the client's source repository, of which only its tests are taken; VENV holds the client itself, pytest and
what its tests need (see docs/embedded-clickhouse.md). Exits with pytest's code. Only loopback is used.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ingest.embedded.stack import answers_ok
from tests.support.servers import free_port, running

# Statements of the suites' own preparation that no embedded engine can do. pandas is imported before dbt freezes time.
_PLUGIN = """
import pandas  # noqa
from clickhouse_connect.driver.httpclient import HttpClient

_command = HttpClient.command

def command(self, cmd, *args, **kwargs):
    if str(cmd).startswith(("CREATE USER", "DROP USER")):
        return ""
    return _command(self, cmd, *args, **kwargs)

HttpClient.command = command
"""
_SETTINGS = "[pytest]\nasyncio_default_fixture_loop_scope = session\npythonpath = .\n"
_SUITES: dict[str, tuple[str, str, list[str]]] = {
    "clickhouse-connect": ("tests/integration_tests", "CLICKHOUSE_CONNECT_TEST", []),
    # A database of the engine Replicated needs a Keeper, and leaves its profile to the tests behind it.
    "dbt-clickhouse": (
        "tests/integration/adapter",
        "DBT_CH_TEST",
        ["-p", "no_users", "--deselect", "tests/integration/adapter/replicated_database"],
    ),
}


def run_suite(name: str, checkout: Path, python: Path, more: list[str]) -> int:
    """pytest's exit code."""
    tests, prefix, options = _SUITES[name]
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="suite-") as temporary:
        folder = Path(temporary)
        shutil.copytree(checkout / "tests", folder / "tests")
        (folder / "pytest.ini").write_text(_SETTINGS)
        (folder / "no_users.py").write_text(_PLUGIN)
        data = str(folder / "data")
        argv = [sys.executable, "-m", "ingest.embedded.clickhouse", "--path", data, "--port", str(port)]
        with running(argv, folder / "engine.log", lambda: answers_ok(f"http://127.0.0.1:{port}/ping")):
            wanted: list[str] = [
                str(python.absolute()),
                "-m",
                "pytest",
                "-q",
                "-rfEs",
                "--timeout",
                "200",
                *options,
                *(more or [tests]),
            ]
            found = {f"{prefix}_HOST": "127.0.0.1", f"{prefix}_PORT": str(port), "PYTHONPATH": str(folder)}
            return subprocess.run(wanted, cwd=folder, env={**os.environ, **found}, check=False).returncode


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("suite", choices=sorted(_SUITES))
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--python", type=Path, required=True, help="the interpreter that has the client")
    parser.add_argument("more", nargs="*", help="files or folders below CHECKOUT, instead of the whole suite")
    given = parser.parse_intermixed_args()
    sys.exit(run_suite(given.suite, given.checkout, given.python, given.more))
