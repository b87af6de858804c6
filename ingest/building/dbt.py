"""One run of dbt as a process of its own: arguments and environment from Settings, its outcome from run_results.json.

In: settings and dbt's own arguments. Out: a BuildReport with one Node for each model, test and seed. Where dbt does not
even begin (no project, a parse error) MeterhouseError has its last words; what failed in the project is in the report.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec

from ingest.errors import MeterhouseError
from ingest.settings import ClickHouseAddress, Settings

# dbt's exit codes: 0 all well, 1 something in the project failed, 2 it could not even begin.
_RAN: Final = (0, 1)
_LAST_WORDS: Final = 2_000
# "clickhouse" is dbt-clickhouse, which the profile names as its type.
_MODULE: Final = "dbt.cli.main"


class Node(msgspec.Struct, frozen=True):
    """One node of a run: `status` is dbt's (success, pass, warn, error, fail, skipped), time in seconds."""

    unique_id: str
    status: str
    execution_time: float
    message: str | None = None

    @property
    def name(self) -> str:
        """The name without kind and project, as people write it."""
        return self.unique_id.split(".", 2)[2]

    @property
    def is_bad(self) -> bool:
        return self.status in ("error", "fail", "runtime error", "skipped", "partial success")


class _Results(msgspec.Struct):
    results: list[Node]
    elapsed_time: float


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a run did; `seconds` is dbt's own figure for the nodes, without its start and parsing."""

    nodes: Sequence[Node]
    seconds: float

    @property
    def bad(self) -> Sequence[Node]:
        return [node for node in self.nodes if node.is_bad]


def project_folder() -> Path:
    """Where dbt_project.yml is: beside the package in a checkout. Raises MeterhouseError elsewhere."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / "dbt_project.yml").is_file():
        raise MeterhouseError(
            f"the dbt project is not beside the installed package ({folder}): run from a checkout of Meterhouse."
        )
    return folder


def environment(settings: Settings) -> dict[str, str]:
    """What profiles.yml and the models read, all of it from METERHOUSE_* settings."""
    return {
        "METERHOUSE_CLICKHOUSE_URL": _url(settings.clickhouse),
        "METERHOUSE_CLICKHOUSE_CLUSTER": settings.clickhouse_cluster,
        "METERHOUSE_DATABASE_PREFIX": settings.database_prefix,
        "METERHOUSE_TOPIC_PREFIX": settings.topic_prefix,
        "METERHOUSE_AGENT_EVENT_TOPICS": ",".join(settings.agent_event_topics),
        "METERHOUSE_OTLP_TRACES_TOPICS": ",".join(settings.otlp_traces_topics),
        "METERHOUSE_OTLP_LOGS_TOPICS": ",".join(settings.otlp_logs_topics),
        "METERHOUSE_OTLP_METRICS_TOPICS": ",".join(settings.otlp_metrics_topics),
        "METERHOUSE_RETENTION_DAYS": str(settings.retention_days),
        "METERHOUSE_MODELS_PREFIX": settings.models_prefix,
        "METERHOUSE_DBT_TARGET": settings.dbt_target,
        "METERHOUSE_DBT_THREADS": str(settings.dbt_threads),
        "METERHOUSE_BUILD_WAIT_S": str(settings.build_wait_s),
        "METERHOUSE_DBT_MEMORY_BYTES": str(settings.dbt_memory_bytes),
        "DBT_TARGET_PATH": str(settings.home / "dbt" / "target"),
        "DBT_LOG_PATH": str(settings.home / "dbt" / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }


def _url(address: ClickHouseAddress) -> str:
    scheme = "https" if address.secure else "http"
    login = f"{quote(address.username, safe='')}:{quote(address.password, safe='')}"
    return f"{scheme}://{login}@{address.host}:{address.port}"


def run(
    settings: Settings,
    arguments: Sequence[str],
    *,
    say: Callable[[str], None] | None = None,
    extra: Mapping[str, str] | None = None,
) -> BuildReport:
    """Runs `dbt <arguments>` to its end; `say` gets each line as it comes."""
    project = project_folder()
    chosen = environment(settings) | dict(extra or {})
    target = Path(chosen["DBT_TARGET_PATH"])
    (target / "run_results.json").unlink(missing_ok=True)
    words: list[str] = []
    # dbt's package imports the module that is run as the program, which Python mentions each time.
    quiet = ["-W", "ignore::RuntimeWarning:runpy"]
    command = [sys.executable, *quiet, "-m", _MODULE, "--no-use-colors", *arguments]
    with subprocess.Popen(  # noqa: S603  # our own interpreter, arguments as a list
        command, cwd=project, env={**os.environ, **chosen}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            words.append(line)
            if say is not None:
                say(line.rstrip("\n"))
    results = target / "run_results.json"
    if process.returncode not in _RAN or not results.is_file():
        raise MeterhouseError(
            f"dbt {' '.join(arguments)} did not begin (exit code {process.returncode}): {''.join(words)[-_LAST_WORDS:]}"
        )
    read = msgspec.json.decode(results.read_bytes(), type=_Results)
    return BuildReport(read.results, read.elapsed_time)
