"""A real OpenTelemetry Collector for tests, where one was built.

`python -m tests.support.collector` builds the two of deploy/otel-collector/ with the Collector Builder (Go, a quarter
of an hour on one core) into build/collector/. Without them the tests that drive one are skipped, or fail with
METERHOUSE_REQUIRE_COLLECTOR=1.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import yaml

from ingest.embedded.stack import answers_ok
from tests.support.servers import Server, free_port, launch

Kind = Literal["kafka", "clickhouse"]
ROOT = Path(__file__).parents[2]
CONFIGURATIONS = ROOT / "deploy" / "otel-collector"
BUILT = ROOT / "build" / "collector"


def binary(kind: Kind) -> Path:
    return BUILT / kind / f"otelcol-{kind}"


def why_absent(kind: Kind) -> str | None:
    """A sentence where there is none."""
    if binary(kind).exists():
        return None
    return f"no Collector at {binary(kind).relative_to(ROOT)}: build it with `python -m tests.support.collector`"


def is_required() -> bool:
    return os.environ.get("METERHOUSE_REQUIRE_COLLECTOR") == "1"


class Collector:
    """One running; `http` is where it takes OTLP."""

    def __init__(self, kind: Kind, folder: Path, environment: Mapping[str, str]) -> None:
        self._kind = kind
        self._folder = folder
        self._port, grpc, health = free_port(), free_port(), free_port()
        self.http = f"http://127.0.0.1:{self._port}"
        self._health = f"http://127.0.0.1:{health}"
        self._environment = {
            "PATH": os.environ["PATH"],
            "COLLECTOR_STATE": str(folder / "state"),
            "COLLECTOR_HTTP": f"127.0.0.1:{self._port}",
            "COLLECTOR_GRPC": f"127.0.0.1:{grpc}",
            "COLLECTOR_HEALTH": f"127.0.0.1:{health}",
            **environment,
        }

    def start(self) -> Server:
        """Taking OTLP when this returns."""
        argv = ["env", "-i", *(f"{name}={value}" for name, value in self._environment.items())]
        argv += [str(binary(self._kind)), "--config", str(CONFIGURATIONS / f"{self._kind}.yaml")]
        return launch(argv, self._folder / f"collector-{self._kind}.log", lambda: answers_ok(self._health))


def build(kind: Kind) -> None:
    """Makes the binary; `go mod tidy -e`, since tests of the parts need modules that a proxy may not have."""
    manifest = yaml.safe_load((CONFIGURATIONS / f"builder-{kind}.yaml").read_text("utf-8"))
    version = manifest["dist"]["version"]
    folder, name = BUILT / kind, manifest["dist"]["name"]
    folder.mkdir(parents=True, exist_ok=True)
    manifest["dist"]["output_path"] = str(folder)
    (BUILT / f"{kind}.yaml").write_text(yaml.safe_dump(manifest), "utf-8")
    environment = os.environ | {
        "GOPATH": str(BUILT / "gopath"),
        "GOCACHE": str(BUILT / "gocache"),
        "GOBIN": str(BUILT / f"builder-{version}"),
        "GOFLAGS": "-p=1 -modcacherw",
        "GOMAXPROCS": "1",
    }
    generate = [
        str(BUILT / f"builder-{version}" / "builder"),
        "--skip-compilation",
        "--config",
        str(BUILT / f"{kind}.yaml"),
    ]
    for argv, where, must_succeed in (
        (["go", "install", f"go.opentelemetry.io/collector/cmd/builder@v{version}"], BUILT, True),
        # Writes sources and go.mod, then tidies it without -e; the next step says whether that was enough.
        (generate, BUILT, False),
        (["go", "mod", "tidy", "-e"], folder, True),
        (["go", "build", "-trimpath", "-ldflags=-s -w", "-o", name, "."], folder, True),
    ):
        subprocess.run(["nice", "-n", "10", *argv], cwd=where, env=environment, check=must_succeed)


if __name__ == "__main__":
    for one in ("kafka", "clickhouse"):
        if why_absent(one) is not None:
            build(one)
    sys.exit(0)
