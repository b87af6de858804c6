"""The page that a new user follows, line by line in one shell on an empty home: at its end stands what their call cost.

Dagster is left out, whose first build of everything takes longer than the rest; `make browser` drives it.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from ingest.embedded.processes import METERHOUSE
from tests.support.servers import free_port

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "instrumenting" / "README.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# 200 tokens of input, 1,000 of the cache and 85 of output, by today's list.
COST_USD = "0.000156"


def test_a_new_user_sees_what_their_call_cost(tmp_path: Path) -> None:
    home, ports = tmp_path / "home", [free_port() for _ in range(5)]
    names = ("EMBEDDED_CLICKHOUSE_PORT", "EMBEDDED_KAFKA_PORT", "METRICS_PORT", "API_PORT", "API_GRPC_PORT")
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("METERHOUSE_", "OTEL_"))},
        **{f"METERHOUSE_{name}": str(port) for name, port in zip(names, ports, strict=True)},
        "METERHOUSE_HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DBT_TARGET_PATH": str(tmp_path / "target"),
        "DBT_LOG_PATH": str(tmp_path / "logs"),
    }
    page = "".join(BLOCK.findall(PAGE.read_text(encoding="utf-8")))
    # What this test's machine has in other places; each must stand on the page.
    for words, instead in (
        (". .venv/bin/activate\n", ""),
        ("meterhouse up\n", "meterhouse up --without dagster\n"),
        (". .meterhouse/door", f". {home}/door"),
        ("127.0.0.1:18123", f"127.0.0.1:{ports[0]}"),
    ):
        assert words in page
        page = page.replace(words, instead)
    # A reader is slower than the loader; a shell is not.
    count = f"curl -s http://127.0.0.1:{ports[0]} --data-binary 'select count() from raw.agent_events'"
    page = page.replace("dbt build", f"until {count} | grep -qx 1; do sleep 0.2; done\ndbt build")
    try:
        ran = subprocess.run(
            ["bash", "-eu"],
            input=page,
            env=variables,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=560,
            check=False,
        )
    finally:
        meterhouse = [*METERHOUSE, "down"]
        down = subprocess.run(meterhouse, env=variables, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Kafka has it" in ran.stdout
    assert COST_USD in ran.stdout, ran.stdout + ran.stderr
    assert down.returncode == 0, down.stderr
